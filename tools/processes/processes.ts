import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { projectRoot, inheritedEnvironment } from '../settings/environment.js';

const guardPath = fileURLToPath(new URL('process-guard.mjs', import.meta.url));
const defaultGraceMs = 10_000;
const maxTailLines = 40;
const liveProcessSet = new Set<ManagedProcess>();

/** A command to start, with its options. */
export interface ProcessSpec {
  /** The name of the process in messages. */
  name: string;
  command: string;
  args?: readonly string[];
  /** Overrides the inherited environment. `undefined` removes a variable. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** The signal that stops the process. Default: SIGTERM. */
  stopSignal?: NodeJS.Signals;
  /** Time between the stop signal and SIGKILL. Default: 10 s. */
  graceMs?: number;
  /** Path of the file that receives all output of the process. */
  logFile?: string;
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

export interface ExitStatus {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A child process that ends when this process ends, even if this process is killed. */
export interface ManagedProcess {
  readonly name: string;
  /** Process id of the child, not of its guard process. */
  readonly pid: number;
  /** Resolves when the child has exited and its output is read. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** Sends the stop signal, and SIGKILL after `graceMs`. Resolves when the child has exited. */
  stop(graceMs?: number): Promise<ExitStatus>;
  /** Sends a signal. Returns false if the child has already exited. */
  kill(signal: NodeJS.Signals): boolean;
  /** Returns the last lines of output. */
  lastOutput(): string;
}

/**
 * Starts a child process that cannot outlive this process. A guard process (tools/processes/process-guard.mjs) starts
 * the child and stops the child when this process ends, even after a SIGKILL. The child does not receive Ctrl-C from
 * the terminal, because this process decides the order in which its children stop.
 *
 * @throws when the command cannot be started.
 */
export async function startProcess(spec: ProcessSpec): Promise<ManagedProcess> {
  if (spec.logFile) mkdirSync(dirname(spec.logFile), { recursive: true });
  const inherited = inheritedEnvironment();
  const guard = spawn(process.execPath, [guardPath], {
    // Starts a separate session, so that neither Ctrl-C nor a closed terminal reaches the guard.
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
    // If the guard sent no exit message, the guard was killed and cannot stop its child.
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

/** Returns all processes that `startProcess` started and that have not exited, even if they are not ready yet. */
export function liveProcesses(): readonly ManagedProcess[] {
  return [...liveProcessSet];
}

/** Stops all running processes that `startProcess` started, even if they are not ready yet. */
export async function stopLiveProcesses(): Promise<void> {
  await Promise.all(liveProcesses().map((child) => child.stop()));
}

function waitForStart(guard: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    guard.once('error', reject);
    guard.once('exit', () => reject(new Error('the guard process exited before it started the command')));
    guard.once('message', (message: { pid?: number; failed?: string }) =>
      message.pid === undefined ? reject(new Error(message.failed)) : resolve(message.pid),
    );
  });
}

/**
 * The command with which Node runs a TypeScript file of this project in one process. If COMPILED_SOURCE names a folder,
 * a file of `src/` runs from the JavaScript in that folder, because it then starts in half the processor time.
 */
export function typescriptCommand(file: string, ...args: string[]): { command: string; args: string[] } {
  const { COMPILED_SOURCE: compiledSource } = inheritedEnvironment();
  if (compiledSource && file.startsWith('src/')) {
    return { command: process.execPath, args: [compiledPath(compiledSource, file), ...args] };
  }
  const nodeArgs = ['--import', import.meta.resolve('tsx/esm'), join(projectRoot, file)];
  return { command: process.execPath, args: [...nodeArgs, ...args] };
}

/** The command with which Node runs a file of `src/` from a folder with compiled sources. */
export function compiledCommand(folder: string, file: string): { command: string; args: string[] } {
  return { command: process.execPath, args: ['--enable-source-maps', compiledPath(folder, file)] };
}

const compiledPath = (folder: string, file: string): string => join(folder, file.replace(/\.ts$/, '.js'));
