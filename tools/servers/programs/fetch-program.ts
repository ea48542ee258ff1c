import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { findOnPath, runCommand } from '../../processes/commands.js';
import { withLock } from '../../processes/lock.mjs';
import type { Reporter } from '../../terminal/reporter.js';
import type { FoundProgram, ProgramSource, VerifyProgram } from './program-sources.js';

const buildTimeoutMs = 45 * 60_000;

export interface FetchSourceOptions {
  name: string;
  fix: string;
  /** The path of the fetched program. */
  target: string;
  report: Reporter;
  /** The step that is shown while the program is fetched. */
  step: string;
  /** Throws an error with the reason when the program cannot be fetched on this machine. */
  checkRequirements?: () => Promise<void>;
  /** Puts the program at `target`. */
  fetch: () => Promise<void>;
  verify: VerifyProgram;
}

/** A source that puts the program at `target` if the program is missing or does not work. */
export function fetchSource(options: FetchSourceOptions): ProgramSource {
  const { name, fix, checkRequirements } = options;
  return {
    name,
    fix,
    find: async () => {
      await checkRequirements?.();
      return fetchOnce(options);
    },
  };
}

/** When several processes need the same missing program at the same time, a lock ensures that only one fetches it. */
async function fetchOnce({ target, report, step, fetch, verify }: FetchSourceOptions): Promise<FoundProgram> {
  await mkdir(dirname(target), { recursive: true });
  return withLock(
    `${target}.lock`,
    async () => {
      const usable = await verify(target).catch(() => undefined);
      if (usable) return usable;
      await report.withProgress(step, fetch);
      return verify(target);
    },
    (pid) => report.print(`      waiting for process ${pid}, which fetches the same program`),
  );
}

/**
 * Builds Go packages (paths with versions) in a temporary folder. `install` receives this folder and moves the built
 * programs to their destination, so that the destination is always complete.
 *
 * @throws when Go is not installed or when the build fails (with the last lines of its output).
 */
export async function buildWithGo(
  packages: readonly string[],
  target: string,
  install: (folder: string) => Promise<void>,
): Promise<void> {
  const go = findOnPath('go');
  if (go === undefined) throw new Error('there is no "go" on PATH');
  const folder = `${target}.${randomUUID()}`;
  try {
    await runCommand({
      name: 'go install',
      command: go,
      args: ['install', '-ldflags', '-s -w', ...packages],
      env: { GOBIN: folder, CGO_ENABLED: '0', GOOS: undefined, GOARCH: undefined },
      // This folder must be outside any Go module or workspace.
      cwd: dirname(target),
      timeoutMs: buildTimeoutMs,
    });
    await install(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
