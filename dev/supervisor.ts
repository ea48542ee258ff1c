import { setTimeout as delay } from 'node:timers/promises';
import type { Exit, ManagedProcess } from './processes.js';
import type { Report } from './report.js';

const maxDeaths = 5;
const withinMs = 60_000;

export interface SupervisedPart {
  readonly name: string;
  /** The process that plays the part now. */
  readonly process: ManagedProcess;
  stop(graceMs?: number): Promise<void>;
  kill(): void;
}

interface Supervision {
  name: string;
  start: () => Promise<ManagedProcess>;
  /** Whether one that ended may be started again; else its end is an error at once. */
  mayRestart: () => boolean;
  report: Report;
  /** Told once when it ended for good without having been asked to. */
  onFailure: (error: Error) => void;
}

/**
 * Starts a process and starts it again whenever it ends without having been asked to: at most five times a minute.
 *
 * @throws when it cannot be started the first time.
 */
export async function supervise({ name, start, mayRestart, report, onFailure }: Supervision): Promise<SupervisedPart> {
  const deaths: number[] = [];
  let stopping = false;
  let current = await start();

  const watch = async (): Promise<void> => {
    for (;;) {
      const ended = describe(await current.exited);
      if (stopping) return;
      deaths.push(Date.now());
      const recent = deaths.filter((at) => at > Date.now() - withinMs).length;
      if (!mayRestart()) {
        onFailure(withTail(`${name} ended ${ended}`, current));
        return;
      }
      if (recent > maxDeaths) {
        onFailure(withTail(`${name} ended ${recent} times within a minute, the last time ${ended}`, current));
        return;
      }
      report.say(`${name} ended ${ended}; starting it again`);
      await delay((recent - 1) * 500);
      if (stopping) return;
      try {
        current = await start();
      } catch (error) {
        onFailure(new Error(`${name} could not be started again: ${(error as Error).message}`));
        return;
      }
      if (stopping) await current.stop();
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

function describe({ code, signal }: Exit): string {
  return signal ? `by ${signal}` : `with code ${code}`;
}

function withTail(what: string, process: ManagedProcess): Error {
  const lines = process.tail();
  return new Error(lines ? `${what}. Its last lines:\n${lines}` : `${what}, without a word`);
}
