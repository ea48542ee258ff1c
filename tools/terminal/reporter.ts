/** Prints the output of a development script for the user. */
export interface Reporter {
  /** Prints one permanent line. */
  print(text: string): void;
  /** Runs `work` and shows the elapsed time until `work` finishes. */
  withProgress<T>(label: string, work: () => Promise<T>): Promise<T>;
}

/** A reporter that prints nothing, for tests. */
export const silentReporter: Reporter = { print: () => undefined, withProgress: (_label, work) => work() };

interface Output {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const terminalIntervalMs = 1_000;
const logIntervalMs = 15_000;

/**
 * Creates a reporter that writes to a stream. On a terminal, the reporter updates one progress line every second. In a
 * CI log or a file, the reporter prints a new line for each running step every 15 seconds.
 */
export function createReporter(output: Output = process.stdout): Reporter {
  const running = new Map<symbol, { label: string; since: number }>();
  let timer: NodeJS.Timeout | undefined;
  let drawn = false;

  const erase = (): void => {
    if (drawn) output.write('\r\x1b[2K');
    drawn = false;
  };
  const tick = (): void => {
    const lines = [...running.values()].map(({ label, since }) => `${label} … ${formatElapsed(since)}`);
    if (!output.isTTY) {
      for (const line of lines) output.write(`      ${line}\n`);
      return;
    }
    erase();
    if (lines.length === 0) return;
    output.write(`      ${lines.join('; ')}`.slice(0, (output.columns ?? 80) - 1));
    drawn = true;
  };
  const say = (text: string): void => {
    erase();
    output.write(`${text}\n`);
  };

  return {
    print: say,
    async withProgress(label, work) {
      const key = Symbol(label);
      const since = Date.now();
      running.set(key, { label, since });
      if (!output.isTTY) say(`      ${label}`);
      else tick();
      timer ??= setInterval(tick, output.isTTY ? terminalIntervalMs : logIntervalMs).unref();
      try {
        const result = await work();
        running.delete(key);
        say(`      ${label}: done (${formatElapsed(since)})`);
        return result;
      } catch (error) {
        running.delete(key);
        say(`      ${label}: failed (${formatElapsed(since)})`);
        throw error;
      } finally {
        if (running.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
      }
    },
  };
}

function formatElapsed(since: number): string {
  const elapsed = (Date.now() - since) / 1000;
  return elapsed < 10 ? `${elapsed.toFixed(1)} s` : `${Math.round(elapsed)} s`;
}
