import { join } from 'node:path';
import { runCommand } from '../../processes/commands.js';
import {
  compiledCommand,
  startProcess,
  typescriptCommand,
  type ManagedProcess,
  type ProcessSpec,
} from '../../processes/processes.js';
import { buildSources } from '../../source-build/source-build.js';
import { supervise, type SupervisedProcess } from '../../processes/supervisor.js';
import type { Reporter } from '../../terminal/reporter.js';
import { writePidFile } from '../data-files.js';
import type { ProcessKind, ProcessName } from '../stack.js';
import { formatImportantLine } from './important-line.js';

const setupTimeoutMs = 2 * 60_000;
/**
 * This time is longer than the worker needs to stop. By default, the worker waits 20 s for running activities and gives
 * up 5 s later.
 */
const stopGraceMs = 30_000;

/** Processes that accept work stop first. Processes that keep state stop last. */
const stopOrder: readonly ProcessKind[] = ['api', 'worker', 'fakes', 'temporal', 'postgres'];

interface StackProcessesOptions {
  report: Reporter;
  logsDir: string;
  dataDir: string;
  /** See `StackOptions.watch`. */
  watch: boolean;
}

/**
 * The supervised processes of a stack. Each process writes all output to `<name>.log`, and important lines to the
 * reporter. The data folder contains a file with the process id of each process.
 */
export class StackProcesses {
  readonly all = new Map<ProcessName, SupervisedProcess>();
  /** Resolves with the error when a process fails and is not restarted. */
  readonly failed: Promise<Error>;
  readonly #report: Reporter;
  readonly #logsDir: string;
  readonly #dataDir: string;
  readonly #watch: boolean;
  #resolveFailed: (error: Error) => void = () => undefined;
  #failure: Error | undefined;
  #mayRestart = false;
  #isStopping = false;

  constructor({ report, logsDir, dataDir, watch }: StackProcessesOptions) {
    this.#report = report;
    this.#logsDir = logsDir;
    this.#dataDir = dataDir;
    this.#watch = watch;
    this.failed = new Promise<Error>((resolve) => (this.#resolveFailed = resolve));
  }

  /** The error of the first process that failed, if any. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Starts to compile the sources, so that they are ready when the first process needs them. */
  prepare(): void {
    void this.#commandFor('src/setup.ts');
  }

  /**
   * From now on, a process that exits is restarted. Before this call, the exit of a process makes the start of the
   * stack fail.
   */
  allowRestarts(): void {
    this.#mayRestart = true;
  }

  logFile(name: string): string {
    return join(this.#logsDir, `${name}.log`);
  }

  /** Starts and supervises a process. With `restartable: false`, the exit of the process is always a failure. */
  async add(
    name: ProcessName,
    start: () => Promise<ManagedProcess>,
    { restartable = true }: { restartable?: boolean } = {},
  ): Promise<void> {
    const supervised = await supervise({
      name,
      start: async () => {
        const started = await start();
        // Ignores errors, because only `npm run kill-worker` needs the file.
        await writePidFile(this.#dataDir, name, started.pid).catch(() => undefined);
        return started;
      },
      report: this.#report,
      mayRestart: () => this.#mayRestart && restartable,
      onFailure: (error) => {
        if (this.#watch && this.#mayRestart && /^(worker|api)/.test(name)) {
          this.#report.print(`${error.message}\n${name} starts again after the next change.`);
          return;
        }
        this.#failure ??= error;
        this.#resolveFailed(this.#failure);
      },
    });
    this.all.set(name, supervised);
  }

  /** Starts a TypeScript program of this project and supervises it. */
  async addProgram(name: ProcessName, file: string, env: ProcessSpec['env']): Promise<void> {
    await this.add(name, async () =>
      startProcess(this.#logged(name, { ...(await this.#commandFor(file)), env: env ?? {} })),
    );
  }

  /** Runs a TypeScript program until it exits. @throws when the program fails, with its last output. */
  async runProgram(name: string, file: string, env: ProcessSpec['env']): Promise<void> {
    const spec = this.#logged(name, { ...(await this.#commandFor(file)), env: env ?? {} });
    await runCommand({ ...spec, timeoutMs: setupTimeoutMs });
  }

  /** Stops all processes in the order of `stopOrder`. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const kind of stopOrder) {
      const ofKind = [...this.all].filter(([name]) => name === kind || name.startsWith(`${kind}-`));
      for (const [name] of ofKind) this.#report.print(`stopping ${name}`);
      await Promise.all(ofKind.map(([, supervised]) => supervised.stop(stopGraceMs)));
    }
  }

  /**
   * Compiles the current sources of the application, because compiled processes start twice as fast. With `watch`, and
   * if the sources do not compile, the processes run the TypeScript files.
   */
  async #commandFor(file: string) {
    const build = this.#watch || !file.startsWith('src/') ? undefined : await buildSources().catch(() => undefined);
    return build ? compiledCommand(build.folder, file) : typescriptCommand(file);
  }

  #logged(name: string, spec: Omit<ProcessSpec, 'name'>): ProcessSpec {
    return {
      ...spec,
      name,
      graceMs: stopGraceMs,
      logFile: this.logFile(name),
      onLine: (line, stream) => {
        const importantLine = this.#isStopping ? undefined : formatImportantLine(line, stream);
        if (importantLine !== undefined) this.#report.print(`${name} | ${importantLine}`);
      },
    };
  }
}
