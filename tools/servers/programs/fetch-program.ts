import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { findOnPath, runCommand } from '../../processes/commands.js';
import { withLock } from '../../processes/lock.mjs';
import type { Reporter } from '../../terminal/reporter.js';

const buildTimeoutMs = 45 * 60_000;

interface FetchOnceOptions<T> {
  /** The path of the result. */
  target: string;
  report: Reporter;
  /** Returns what is at the target, or throws when that is not usable. */
  verifyTarget: () => Promise<T>;
  make: () => Promise<void>;
}

/** Ensures that two processes that miss the same program at once fetch it only once. */
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
 * Builds Go packages, named with their versions. `install` receives the folder of the built programs and moves them to
 * their destination, so that the destination is always complete.
 *
 * @throws when Go is not installed, or with the last lines of the build's output when the build fails.
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
      // A folder outside of any Go module or workspace.
      cwd: dirname(target),
      timeoutMs: buildTimeoutMs,
    });
    await install(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
