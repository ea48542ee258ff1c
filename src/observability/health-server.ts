import Fastify from 'fastify';
import type { Logger } from './logger.js';

/** Checks by name. A check returns `ok` or a description of the problem. */
export type HealthChecks = Record<string, () => Promise<string> | string>;

/** A check that hangs fails after this time. */
const CHECK_TIMEOUT_MS = 5_000;

/**
 * Serves `/livez` and `/readyz` for a process without another HTTP server. `/livez` responds as long as the process
 * runs. `/readyz` returns 503 with the reasons unless every check returns `ok`.
 *
 * @returns the URL of the listener, and a function that closes it.
 */
export async function serveHealth(
  checks: HealthChecks,
  { host, port, logger }: { host: string; port: number; logger: Logger },
): Promise<{ url: string; close: () => Promise<void> }> {
  const app = Fastify({ loggerInstance: logger.child({}, { level: 'warn' }), forceCloseConnections: true });
  app.get('/livez', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const results = Object.fromEntries(
      await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const)),
    );
    const ready = Object.values(results).every((result) => result === 'ok');
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', checks: results });
  });
  return { url: await app.listen({ host, port }), close: () => app.close() };
}

async function runCheck(check: HealthChecks[string]): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('does not answer'), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([Promise.resolve(check()), late]);
  } catch {
    return 'does not answer';
  } finally {
    clearTimeout(timer);
  }
}
