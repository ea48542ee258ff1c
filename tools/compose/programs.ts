import { findOnPath, runCommand } from '../processes/commands.js';
import { fetchGoProgram, type FetchOptions } from '../servers/programs/go-program.js';
import { isOlder, type FoundProgram } from '../servers/programs/program-sources.js';

/** Docker Compose of this version runs docker-compose.yml on Docker Engine 20.10 and newer. */
const builtComposeVersion = '2.40.3';
const minimumComposeVersion = [2, 24] as const;

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
