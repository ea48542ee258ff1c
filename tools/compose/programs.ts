import { randomUUID } from 'node:crypto';
import { chmod, copyFile, cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findOnPath, runCommand } from '../processes/commands.js';
import { fetchSource } from '../servers/programs/fetch-program.js';
import { isOlder, type FoundProgram, type VerifyProgram } from '../servers/programs/program-sources.js';
import type { Settings } from '../settings/settings.js';
import type { Reporter } from '../terminal/reporter.js';

const buildTimeoutMs = 30 * 60_000;
/** Docker Compose of this version runs docker-compose.yml on Docker Engine 20.10 and newer. */
const builtComposeVersion = '2.40.3';
const minimumComposeVersion = [2, 24] as const;

export interface FetchOptions {
  settings: Pick<Settings, 'cacheDir'>;
  report: Reporter;
}

/**
 * Returns the command and the first arguments of Docker Compose: the installed plugin, or else a program that is built
 * with Go and kept in the cache.
 */
export async function findCompose({ settings, report }: FetchOptions): Promise<readonly [string, ...string[]]> {
  const docker = findOnPath('docker');
  const installed = docker && (await readComposeVersion(docker, 'compose').catch(() => undefined));
  if (installed && !isOlder(installed.version, minimumComposeVersion)) return [docker, 'compose'];
  const { path } = await fetchGoProgram({
    name: 'docker-compose',
    module: 'github.com/docker/compose/v2',
    version: builtComposeVersion,
    package: './cmd',
    linkerFlags: `-X github.com/docker/compose/v2/internal.Version=v${builtComposeVersion}`,
    verify: (path) => readComposeVersion(path),
    settings,
    report,
  });
  return [path];
}

async function readComposeVersion(command: string, ...args: string[]): Promise<FoundProgram> {
  const output = await runCommand({ name: command, command, args: [...args, 'version', '--short'], timeoutMs: 20_000 });
  return { path: command, version: output.trim().replace(/^v/, '') };
}

interface GoProgram extends FetchOptions {
  name: string;
  /** Path and version of the module, and the package of the program in the module. */
  module: string;
  version: string;
  package: string;
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
  const target = join(settings.cacheDir, `${name}-${version}`, name);
  const source = fetchSource({
    name: `a build of ${module}@v${version} with Go`,
    fix: 'install Go (https://go.dev/dl) and let it reach its module proxy (GOPROXY)',
    target,
    report,
    step: `building ${name} ${version} with Go (only once; takes minutes)`,
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
 * Builds a package in a copy of its module, because `go install` rejects a module with exclude directives. The cache of
 * Go is read-only.
 */
async function buildInModule(
  { module, version, package: path, linkerFlags = '', file }: GoProgram,
  target: string,
): Promise<void> {
  const go = findOnPath('go');
  if (go === undefined) throw new Error('there is no "go" on PATH');
  const env = { CGO_ENABLED: '0', GOOS: undefined, GOARCH: undefined, GOFLAGS: '-buildvcs=false' };
  const folder = await mkdtemp(join(tmpdir(), 'go-module-'));
  const draft = `${target}.${randomUUID()}`;
  try {
    const args = ['mod', 'download', '-json', `${module}@v${version}`];
    const output: string[] = [];
    const onLine = (line: string, stream: 'stdout' | 'stderr') => void (stream === 'stdout' && output.push(line));
    await runCommand({
      name: 'go mod download',
      command: go,
      args,
      env,
      cwd: folder,
      timeoutMs: buildTimeoutMs,
      onLine,
    });
    const { Dir: source } = JSON.parse(output.join('\n')) as { Dir: string };
    const copy = join(folder, 'module');
    await cp(source, copy, { recursive: true });
    await runCommand({ name: 'chmod', command: 'chmod', args: ['-R', 'u+w', copy], timeoutMs: 60_000 });
    await mkdir(dirname(target), { recursive: true });
    await runCommand({
      name: 'go build',
      command: go,
      args: ['build', '-ldflags', `-s -w ${linkerFlags}`, '-o', draft, path],
      env,
      cwd: copy,
      timeoutMs: buildTimeoutMs,
    });
    if (file) {
      const stored = join(dirname(target), file.split('/').at(-1)!);
      await copyFile(join(source, file), stored);
      await chmod(stored, 0o644);
    }
    await rename(draft, target);
  } finally {
    await rm(draft, { force: true });
    await rm(folder, { recursive: true, force: true });
  }
}
