import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { findOnPath, runCommand } from '../../processes/commands.js';
import { buildWithGo, fetchOnce } from './fetch-program.js';
import type { Reporter } from '../../terminal/reporter.js';
import { SettingsError, type Settings } from '../../settings/settings.js';
import { downloadFromVendor, sdkVersion } from './vendor-download.js';
import { findProgram, isOlder, variableSource, type FoundProgram, type ProgramSource } from './program-sources.js';

/**
 * The newest version that `go install` can build: the go.mod of 1.9 has a replace directive, which `go install`
 * rejects.
 */
const builtVersion = '1.5.1';
/**
 * The oldest server version that supports all features of the workflows. Update-with-start became stable in this
 * version.
 */
const minimumServerVersion = [1, 28] as const;

export interface TemporalCli extends FoundProgram {
  /** The name of the source that provided the CLI. */
  readonly source: string;
}

interface FindOptions {
  settings: Pick<Settings, 'cacheDir' | 'temporalCliPath'>;
  report: Reporter;
  /** Replaces the default sources in tests. */
  sources?: readonly ProgramSource[];
}

/**
 * Finds the `temporal` program, which contains the command line, the dev server and the Web UI. Tries these sources in
 * order: TEMPORAL_CLI_PATH, PATH, the cache, a download through the SDK, and a build of the Go module. Stores a
 * downloaded or built program in the cache.
 *
 * @throws SettingsError when TEMPORAL_CLI_PATH is set but does not work, and ProgramNotFoundError when no source works.
 */
export async function findTemporalCli({ settings, report, sources }: FindOptions): Promise<TemporalCli> {
  if (settings.temporalCliPath !== undefined) {
    try {
      return { ...(await checkCli(settings.temporalCliPath)), source: 'TEMPORAL_CLI_PATH' };
    } catch (error) {
      const problem = (error as Error).message;
      throw new SettingsError([{ name: 'TEMPORAL_CLI_PATH', problem, example: '/usr/local/bin/temporal' }]);
    }
  }
  return findProgram('Temporal CLI', sources ?? cliSources(settings.cacheDir, report));
}

function cliSources(cacheDir: string, report: Reporter): ProgramSource[] {
  const built = join(cacheDir, `temporal-cli-${builtVersion}`, executableName('temporal'));
  const downloaded = join(cacheDir, `temporal-cli-for-sdk-${sdkVersion}`, executableName('temporal'));
  return [
    variableSource('TEMPORAL_CLI_PATH', 'TEMPORAL_CLI_PATH=<path of a temporal program> npm start'),
    {
      name: 'a "temporal" on PATH',
      fix: 'install the Temporal CLI: https://docs.temporal.io/cli',
      find: async () => checkCli(findOnPath('temporal') ?? throwMissing('not found')),
    },
    {
      name: `the cache ${cacheDir}`,
      fix: `put a temporal program at ${built}`,
      find: async () => checkCli([downloaded, built].find(existsSync) ?? throwMissing('not in the cache yet')),
    },
    {
      name: "the vendor's download, through the SDK (temporal.download, about 50 MB)",
      fix: 'let this machine reach https://temporal.download (behind a proxy: HTTPS_PROXY)',
      find: () =>
        fetchOnce({
          target: downloaded,
          report,
          verifyTarget: () => checkCli(downloaded),
          make: () =>
            report.withProgress('downloading the Temporal CLI', () => downloadFromVendor('dev-server', downloaded)),
        }),
    },
    {
      name: `a build with Go: go install github.com/temporalio/cli/cmd/temporal@v${builtVersion}`,
      fix: 'install Go 1.24 or newer (https://go.dev/dl) and let it reach its module proxy (GOPROXY)',
      find: () =>
        fetchOnce({
          target: built,
          report,
          verifyTarget: () => checkCli(built),
          make: () =>
            report.withProgress(`building the Temporal CLI ${builtVersion} with Go (only once; takes minutes)`, () =>
              buildWithGo([`github.com/temporalio/cli/cmd/temporal@v${builtVersion}`], built, (folder) =>
                rename(join(folder, executableName('temporal')), built),
              ),
            ),
        }),
    },
  ];
}

async function checkCli(path: string): Promise<FoundProgram> {
  const output = await runCommand({
    name: `"${path} --version"`,
    command: path,
    args: ['--version'],
    timeoutMs: 20_000,
  });
  // Checks the server version, because a CLI built by `go install` reports its own version as 0.0.0-DEV.
  const version = /Server v?(\d+\.\d+\.\d+)/.exec(output)?.[1];
  if (!version) throw new Error(`${path} is not a Temporal CLI: ${output.slice(0, 200)}`);
  if (isOlder(version, minimumServerVersion))
    throw new Error(`${path} contains server ${version}; ${minimumServerVersion.join('.')} or newer is needed`);
  return { path, version: `server ${version}` };
}

function executableName(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name;
}

function throwMissing(why: string): never {
  throw new Error(why);
}
