import { randomUUID } from 'node:crypto';
import { chmod, copyFile, cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { findOnPath, runCommand } from '../../processes/commands.js';
import type { Settings } from '../../settings/settings.js';
import type { Reporter } from '../../terminal/reporter.js';
import { fetchSource } from './fetch-program.js';
import type { FoundProgram, VerifyProgram } from './program-sources.js';

const buildTimeoutMs = 30 * 60_000;

export interface FetchOptions {
  settings: Pick<Settings, 'cacheDir'>;
  report: Reporter;
}

interface GoProgram extends FetchOptions {
  name: string;
  /** The folder of the program in the cache. Default: the name and the version. */
  folder?: string;
  /** Path and version of the module, and the package of the program in the module or in one of its dependencies. */
  module: string;
  version: string;
  package: string;
  /**
   * The version of the modules that `go.mod` replaces by local folders. The published module does not contain these
   * folders, so the build uses the published modules.
   */
  localModulesVersion?: string;
  /** Linker flags that set the version which the program prints. */
  linkerFlags?: string;
  /** A file of the module that the program needs at run time. It is stored beside the program. */
  file?: string;
  verify: VerifyProgram;
}

/**
 * Returns a program from the cache, or builds it from its Go module first.
 *
 * @throws when the program is not in the cache and cannot be built, with the reason and a fix.
 */
export async function fetchGoProgram(program: GoProgram): Promise<FoundProgram> {
  const { name, module, version, settings, report, verify } = program;
  const target = join(settings.cacheDir, program.folder ?? `${name}-${version}`, name);
  const source = fetchSource({
    name: `a build of ${module}@v${version} with Go`,
    fix: 'install Go (https://go.dev/dl) and let it reach its module proxy (GOPROXY)',
    target,
    report,
    step: `building ${name} (${module} ${version}) with Go (only once; takes minutes)`,
    fetch: () => buildInModule(program, target),
    verify,
  });
  try {
    return await source.find();
  } catch (error) {
    throw new Error(`${source.name} failed: ${(error as Error).message}\n     fix:    ${source.fix}`, { cause: error });
  }
}

/**
 * Returns the folder of a module in the cache of Go. Downloads the module if it is not there.
 *
 * @throws when Go is not installed or the module cannot be downloaded.
 */
export async function downloadGoModule(module: string, version: string): Promise<string> {
  const args = ['mod', 'download', '-json', `${module}@v${version}`];
  const { Dir: folder } = await readGoJson<{ Dir: string }>(args, tmpdir());
  return folder;
}

/**
 * Builds a package in a copy of its module, because `go install` rejects a module with exclude or replace directives.
 * The cache of Go is read-only.
 */
async function buildInModule(
  { module, version, package: path, localModulesVersion, linkerFlags = '', file }: GoProgram,
  target: string,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'go-module-'));
  const draft = `${target}.${randomUUID()}`;
  try {
    const source = await downloadGoModule(module, version);
    const copy = join(folder, 'module');
    await cp(source, copy, { recursive: true });
    await runCommand({ name: 'chmod', command: 'chmod', args: ['-R', 'u+w', copy], timeoutMs: 60_000 });
    // A published module has the list of its vendored packages without the packages, and the list breaks the build.
    await rm(join(copy, 'vendor'), { recursive: true, force: true });
    if (localModulesVersion !== undefined) await replaceLocalModules(copy, localModulesVersion);
    await mkdir(dirname(target), { recursive: true });
    // go.sum has no checksums of the modules that were local, so the build adds them.
    const args = localModulesVersion === undefined ? [] : ['-mod=mod'];
    await runGo(['build', ...args, '-ldflags', `-s -w ${linkerFlags}`, '-o', draft, path], copy);
    if (file) {
      const stored = join(dirname(target), basename(file));
      await copyFile(join(source, file), stored);
      await chmod(stored, 0o644);
    }
    await rename(draft, target);
  } finally {
    await rm(draft, { force: true });
    await rm(folder, { recursive: true, force: true });
  }
}

async function replaceLocalModules(module: string, version: string): Promise<void> {
  const { Replace: replacements } = await readGoJson<{ Replace: { Old: { Path: string }; New: { Path: string } }[] }>(
    ['mod', 'edit', '-json'],
    module,
  );
  const local = replacements.filter(({ New: { Path: path } }) => path.startsWith('.'));
  await runGo(
    ['mod', 'edit', ...local.map(({ Old: { Path: path } }) => `-replace=${path}=${path}@v${version}`)],
    module,
  );
}

/** Runs a command of Go and returns the JSON that it prints. */
async function readGoJson<T>(args: readonly string[], cwd: string): Promise<T> {
  const output: string[] = [];
  await runGo(args, cwd, (line, stream) => void (stream === 'stdout' && output.push(line)));
  return JSON.parse(output.join('\n')) as T;
}

async function runGo(
  args: readonly string[],
  cwd: string,
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void,
): Promise<void> {
  const go = findOnPath('go');
  if (go === undefined) throw new Error('there is no "go" on PATH');
  await runCommand({
    name: `go ${args[0]}`,
    command: go,
    args,
    env: { CGO_ENABLED: '0', GOOS: undefined, GOARCH: undefined, GOFLAGS: '-buildvcs=false', GOWORK: 'off' },
    cwd,
    timeoutMs: buildTimeoutMs,
    ...(onLine && { onLine }),
  });
}
