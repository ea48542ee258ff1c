import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { findOnPath, runCommand } from '../../processes/commands.js';
import { withLock } from '../../processes/lock.mjs';
import type { Reporter } from '../../terminal/reporter.js';

const buildTimeoutMs = 45 * 60_000;

interface FetchOnceOptions<T> {
  /** The path of the fetched program. */
  target: string;
  report: Reporter;
  /** Checks and returns the program at `target`. Throws when the program is missing or does not work. */
  verifyTarget: () => Promise<T>;
  make: () => Promise<void>;
}

/**
 * Returns the program at `target`, and fetches the program first if it is missing. When several processes need the same
 * missing program at the same time, a lock ensures that only one process fetches it.
 */
export async function fetchOnce<T>({ target, report, verifyTarget, make }: FetchOnceOptions<T>): Promise<T> {
  await mkdir(dirname(target), { recursive: true });
  return withLock(
    `${target}.lock`,
    async () => {
      const usable = await verifyTarget().catch(() => undefined);
      if (usable) return usable;
      await make();
      return verifyTarget();
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
