import { withTimeout } from '../async/promises.js';
import { startInternalServer, type InternalServer, type ListenAddress } from './internal-server.js';
import type { Logger } from './logger.js';

/** Health checks by name. A check returns `ok` or a description of the problem. */
export type HealthChecks = Record<string, () => Promise<string> | string>;

/** A check without a result after this time has failed. */
const CHECK_TIMEOUT_MS = 5_000;

/**
 * Serves `/livez` and `/readyz` for a process that has no other HTTP server. `/livez` responds as long as the process
 * runs. `/readyz` returns 200 when every check returns `ok`; otherwise it returns 503 with the results of all checks.
 */
export async function serveHealth(
  checks: HealthChecks,
  options: ListenAddress & { logger: Logger },
): Promise<InternalServer> {
  return await startInternalServer(options, (app) => {
    app.get('/livez', async () => ({ status: 'ok' }));
    app.get('/readyz', async (_request, reply) => {
      const results = Object.fromEntries(
        await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const)),
      );
      const ready = Object.values(results).every((result) => result === 'ok');
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', checks: results });
    });
  });
}

/** Returns the result of a check. Replaces the message of an error, because it may reveal internals. */
async function runCheck(check: HealthChecks[string]): Promise<string> {
  try {
    return await withTimeout(Promise.resolve(check()), CHECK_TIMEOUT_MS, () => 'does not answer');
  } catch {
    return 'does not answer';
  }
}
