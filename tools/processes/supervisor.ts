import { setTimeout as delay } from 'node:timers/promises';
import type { Exit, ManagedProcess } from './processes.js';
import type { Report } from '../terminal/report.js';

const maxDeaths = 5;
const withinMs = 60_000;

export interface SupervisedPart {
  readonly name: string;
  /** The current process of this part. */
  readonly process: ManagedProcess;
  stop(graceMs?: number): Promise<void>;
  kill(): void;
}

interface Supervision {
  name: string;
  start: () => Promise<ManagedProcess>;
  /** Whether to restart a process that ended; if not, `onFailure` is called at once. */
  mayRestart: () => boolean;
  report: Report;
  /** Called once, when the process ended without a stop request and is not started again. */
  onFailure: (error: Error) => void;
}

/**
 * Starts a process, and starts it again whenever it ends without a stop request: at most five times a minute.
 *
 * @throws when the first start fails.
 */
export async function supervise({ name, start, mayRestart, report, onFailure }: Supervision): Promise<SupervisedPart> {
  const deaths: number[] = [];
  let stopping = false;
  let current = await start();

  const watch = async (): Promise<void> => {
    let ended = withTail(`${name} ended ${describe(await current.exited)}`, current);
    for (;;) {
      if (stopping) return;
      deaths.push(Date.now());
      const recent = deaths.filter((at) => at > Date.now() - withinMs).length;
      if (!mayRestart()) {
        onFailure(new Error(ended));
        return;
      }
      if (recent > maxDeaths) {
        onFailure(new Error(`${name} ended ${recent} times within a minute. The last time: ${ended}`));
        return;
      }
      report.say(`${firstLine(ended)}; starting it again`);
      await delay((recent - 1) * 500);
      if (stopping) return;
      try {
        current = await start();
      } catch (error) {
        ended = (error as Error).message;
        continue;
      }
      if (stopping) await current.stop();
      ended = withTail(`${name} ended ${describe(await current.exited)}`, current);
    }
  };
  const watching = watch();

  return {
    name,
    get process() {
      return current;
    },
    async stop(graceMs) {
      stopping = true;
      await current.stop(graceMs);
      await watching;
    },
    kill() {
      stopping = true;
      current.kill('SIGKILL');
    },
  };
}

function firstLine(text: string): string {
  return text.split('\n')[0]?.replace(/\. Its last lines:$/, '') ?? text;
}

function describe({ code, signal }: Exit): string {
  return signal ? `by ${signal}` : `with code ${code}`;
}

function withTail(what: string, process: ManagedProcess): string {
  const lines = process.tail();
  return lines ? `${what}. Its last lines:\n${lines}` : what;
}
