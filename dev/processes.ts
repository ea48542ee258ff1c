import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { checkout, inheritedEnvironment } from './settings.js';

const leash = fileURLToPath(new URL('leash.mjs', import.meta.url));
const defaultGraceMs = 10_000;
const tailLines = 40;
const live = new Set<ManagedProcess>();

/** What to start. */
export interface ProcessSpec {
  /** How people know it: in messages, in the name of its log. */
  name: string;
  command: string;
  args?: readonly string[];
  /** Laid over the inherited environment; `undefined` removes a variable. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** Asks it to end; SIGTERM unless told. */
  stopSignal?: NodeJS.Signals;
  /** How long it may take to end when its parent died, before SIGKILL. 10 s unless told. */
  graceMs?: number;
  /** Gets everything that it prints. */
  logFile?: string;
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A child process that ends when this process does, however this process ends. */
export interface ManagedProcess {
  readonly name: string;
  /** Of the process itself, not of the guard between it and us. */
  readonly pid: number;
  /** Settles when it is gone and its output has been read; never rejects. */
  readonly exited: Promise<Exit>;
  /** Asks it to end, kills it after the grace time, and waits until it is gone. */
  stop(graceMs?: number): Promise<Exit>;
  /** Sends it a signal now. False when it is gone already. */
  kill(signal: NodeJS.Signals): boolean;
  /** The last lines that it printed. */
  tail(): string;
}

/**
 * Starts a child process that cannot be orphaned: a guard of its own (dev/leash.mjs) starts it and ends it when this
 * process is gone, also after a SIGKILL. It does not get the terminal's Ctrl-C: whoever started it decides on the order
 * in which things stop.
 *
 * @throws when the command cannot be started.
 */
export async function startProcess(spec: ProcessSpec): Promise<ManagedProcess> {
  if (spec.logFile) mkdirSync(dirname(spec.logFile), { recursive: true });
  const inherited = inheritedEnvironment();
  const guard = spawn(process.execPath, [leash], {
    // Its own session: neither Ctrl-C nor a closed terminal reaches it.
    detached: true,
    cwd: checkout,
    env: { ...inherited, NODE_OPTIONS: undefined },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'json',
  });
  const closed = once(guard, 'close');
  const lines: string[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    createInterface({ input: guard[stream]!, crlfDelay: Infinity }).on('line', (line) => {
      lines.push(line);
      if (lines.length > tailLines) lines.shift();
      spec.onLine?.(line, stream);
    });
  }

  const { name, ...rest } = spec;
  const started = firstMessage(guard);
  guard.send({
    stopSignal: 'SIGTERM',
    graceMs: defaultGraceMs,
    args: [],
    cwd: checkout,
    ...rest,
    env: Object.fromEntries(Object.entries({ ...inherited, ...spec.env }).filter(([, value]) => value !== undefined)),
  });
  const pid = await started.catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${name} could not be started (${spec.command}): ${reason}`, { cause: error });
  });

  let exit: Exit | undefined;
  guard.on('message', (message: { exited?: Exit }) => {
    exit = message.exited ?? exit;
  });
  const kill = (signal: NodeJS.Signals): boolean => {
    if (exit) return false;
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  };
  const exited = closed.then(() => {
    // A guard that went without a word was killed: nobody else will end its child.
    if (!exit) kill('SIGKILL');
    return (exit ??= { code: null, signal: 'SIGKILL' });
  });

  const managed: ManagedProcess = {
    name,
    pid,
    exited,
    kill,
    async stop(graceMs = spec.graceMs ?? defaultGraceMs) {
      kill(spec.stopSignal ?? 'SIGTERM');
      const overdue = setTimeout(() => kill('SIGKILL'), graceMs);
      return exited.finally(() => clearTimeout(overdue));
    },
    tail: () => lines.join('\n'),
  };
  live.add(managed);
  void exited.then(() => live.delete(managed));
  return managed;
}

/** Every process that was started here and has not ended, also those that are only just starting. */
export function liveProcesses(): readonly ManagedProcess[] {
  return [...live];
}

function firstMessage(guard: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    guard.once('error', reject);
    guard.once('exit', () => reject(new Error('its guard ended before it was started')));
    guard.once('message', (message: { pid?: number; failed?: string }) =>
      message.pid === undefined ? reject(new Error(message.failed)) : resolve(message.pid),
    );
  });
}

/** The arguments that make Node run a TypeScript file of this project in one process. */
export function typescript(file: string, ...args: string[]): { command: string; args: string[] } {
  return {
    command: process.execPath,
    args: ['--import', import.meta.resolve('tsx/esm'), fileURLToPath(new URL(`../${file}`, import.meta.url)), ...args],
  };
}
