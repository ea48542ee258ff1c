import { waitUntil } from '../processes/wait.js';

interface ReadinessOptions {
  timeoutMs: number;
  /** Returns the error that ends the wait early, if any. */
  findFailure?: () => Error | undefined;
}

/** Waits until `/readyz` of a process returns 200. */
export async function waitUntilReady(url: string, { timeoutMs, findFailure }: ReadinessOptions): Promise<void> {
  await waitUntil(
    async () => {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) });
      const body = await response.text();
      if (response.status !== 200) throw new Error(`status ${response.status}: ${body.slice(0, 500)}`);
      return true;
    },
    {
      description: `readiness of ${url}/readyz`,
      timeoutMs,
      intervalMs: 200,
      throwIfFailed: () => {
        const error = findFailure?.();
        if (error) throw error;
      },
    },
  );
}
