import { startInternalServer, type ListenAddress } from '../internal-server.js';
import type { Logger } from '../logger.js';

/** A page of metrics in Prometheus's text format. */
export interface MetricsPage {
  readonly contentType: string;
  metrics: () => Promise<string>;
  /** Resolves when the page reads nothing from its data sources. */
  settled?: () => Promise<void>;
}

/** Serves metrics pages by path. @returns a function that closes the server and waits for running scrapes. */
export async function serveMetrics(
  pages: Record<string, MetricsPage>,
  options: ListenAddress & { logger: Logger },
): Promise<() => Promise<void>> {
  const runningScrapes = new Set<Promise<string>>();
  const scrape = (page: MetricsPage) => {
    const text = page.metrics();
    runningScrapes.add(text);
    return text.finally(() => runningScrapes.delete(text));
  };
  const { close } = await startInternalServer(options, (app) => {
    for (const [path, page] of Object.entries(pages)) {
      app.get(path, async (_request, reply) => {
        const text = await scrape(page);
        return reply.header('content-type', page.contentType).send(text);
      });
    }
  });
  return async () => {
    await close();
    // Waits for scrapes and reads, because the caller may close their data sources afterwards.
    await Promise.allSettled(runningScrapes);
    for (const page of Object.values(pages)) await page.settled?.();
  };
}
