import Fastify from 'fastify';
import type { Logger } from '../logger.js';

/** The address of the metrics endpoint. */
export interface ListenAddress {
  host: string;
  port: number;
}

/** A page of metrics in Prometheus's text format. */
export interface MetricsPage {
  readonly contentType: string;
  metrics: () => Promise<string>;
}

/**
 * Serves pages of metrics by path, on a separate listener, because API callers must not read them.
 *
 * @returns a function that closes the listener.
 */
export async function serveMetrics(
  pages: Record<string, MetricsPage>,
  { host, port, logger }: ListenAddress & { logger: Logger },
): Promise<() => Promise<void>> {
  const app = Fastify({ loggerInstance: logger.child({}, { level: 'warn' }), forceCloseConnections: true });
  const underWay = new Set<Promise<string>>();
  const told = (text: Promise<string>) => {
    underWay.add(text);
    return text.finally(() => underWay.delete(text));
  };
  for (const [path, page] of Object.entries(pages)) {
    app.get(path, async (_request, reply) => {
      const text = await told(page.metrics());
      return reply.header('content-type', page.contentType).send(text);
    });
  }
  await app.listen({ host, port });
  return async () => {
    await app.close();
    // Wait for running scrapes, because the caller may close their data sources next.
    await Promise.allSettled(underWay);
  };
}
