import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { projectRoot, inheritedEnvironment } from '../stack/settings/project.js';

const guardPath = fileURLToPath(new URL('process-guard.mjs', import.meta.url));
const defaultGraceMs = 10_000;
const maxTailLines = 40;
const liveProcessSet = new Set<ManagedProcess>();

/** The command to start, and how. */
export interface ProcessSpec {
  /** The name in messages. */
  name: string;
  command: string;
  args?: readonly string[];
  /** Merged over the inherited environment; `undefined` removes a variable. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** The signal that asks the process to end. Default: SIGTERM. */
  stopSignal?: NodeJS.Signals;
  /** How long the process may take to end after its parent died, before SIGKILL. Default 10 s. */
  graceMs?: number;
  /** Receives all output of the process. */
  logFile?: string;
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

export interface ExitStatus {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A child process that ends when this process ends, however this process ends. */
export interface ManagedProcess {
  readonly name: string;
  /** Process id of the child itself, not of its guard. */
  readonly pid: number;
  /** Resolves when the child has ended and its output is read; never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** Asks the child to end, kills it after the grace time, and waits until it has ended. */
  stop(graceMs?: number): Promise<ExitStatus>;
  /** Sends a signal now. Returns false if the child has already ended. */
  kill(signal: NodeJS.Signals): boolean;
  /** The last lines of output. */
  lastOutput(): string;
}

/**
 * Starts a child process that cannot be orphaned. A guard process (tools/processes/process-guard.mjs) starts the child and ends it when
 * this process is gone, even after a SIGKILL. The child does not get the terminal's Ctrl-C: this process decides the
 * order in which its children stop.
 *
 * @throws when the command cannot be started.
 */
export async function startProcess(spec: ProcessSpec): Promise<ManagedProcess> {
  if (spec.logFile) mkdirSync(dirname(spec.logFile), { recursive: true });
  const inherited = inheritedEnvironment();
  const guard = spawn(process.execPath, [guardPath], {
    // A separate session: neither Ctrl-C nor a closed terminal reaches the guard.
    detached: true,
    cwd: projectRoot,
    env: { ...inherited, NODE_OPTIONS: undefined },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'json',
  });
  const closed = once(guard, 'close');
  const lines: string[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    createInterface({ input: guard[stream]!, crlfDelay: Infinity }).on('line', (line) => {
      lines.push(line);
      if (lines.length > maxTailLines) lines.shift();
      spec.onLine?.(line, stream);
    });
  }

  const { name, ...rest } = spec;
  const started = waitForStart(guard);
  guard.send({
    stopSignal: 'SIGTERM',
    graceMs: defaultGraceMs,
    args: [],
    cwd: projectRoot,
    ...rest,
    env: Object.fromEntries(Object.entries({ ...inherited, ...spec.env }).filter(([, value]) => value !== undefined)),
  });
  const pid = await started.catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${name} did not start (${spec.command}): ${reason}`, { cause: error });
  });

  let exit: ExitStatus | undefined;
  guard.on('message', (message: { exited?: ExitStatus }) => {
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
    // A guard that sent no exit message was killed, so nothing else ends its child.
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
    lastOutput: () => lines.join('\n'),
  };
  liveProcessSet.add(managed);
  void exited.then(() => liveProcessSet.delete(managed));
  return managed;
}

/** All processes that were started here and have not ended, including those that are still starting. */
export function liveProcesses(): readonly ManagedProcess[] {
  return [...liveProcessSet];
}

/** Stops every process that was started here and still runs, including those that are still starting. */
export async function stopLiveProcesses(): Promise<void> {
  await Promise.all(liveProcesses().map((child) => child.stop()));
}

function waitForStart(guard: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    guard.once('error', reject);
    guard.once('exit', () => reject(new Error('the guard process ended before the start')));
    guard.once('message', (message: { pid?: number; failed?: string }) =>
      message.pid === undefined ? reject(new Error(message.failed)) : resolve(message.pid),
    );
  });
}

/** The arguments with which Node runs a TypeScript file of this project in one process. */
export function typescriptCommand(file: string, ...args: string[]): { command: string; args: string[] } {
  return {
    command: process.execPath,
    args: [
      '--import',
      import.meta.resolve('tsx/esm'),
      fileURLToPath(new URL(`../../${file}`, import.meta.url)),
      ...args,
    ],
  };
}
