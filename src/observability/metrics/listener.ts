import Fastify from 'fastify';
import type { Logger } from '../logger.js';

/** Where metrics are read from. */
export interface MetricsAddress {
  host: string;
  port: number;
}

/** A page of metrics in Prometheus's text format. */
export interface MetricsPage {
  readonly contentType: string;
  metrics: () => Promise<string>;
}

/**
 * Serves pages of metrics by their paths, on a listener of their own: who may call the API may not read them.
 *
 * @returns its end.
 */
export async function serveMetrics(
  pages: Record<string, MetricsPage>,
  { host, port, logger }: MetricsAddress & { logger: Logger },
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
    // What it is read from may be closed afterwards.
    await Promise.allSettled(underWay);
  };
}
