import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../processes/commands.js';
import type { Settings } from '../../settings/settings.js';
import type { Reporter } from '../../terminal/reporter.js';
import { buildWithGo, fetchSource } from './fetch-program.js';
import {
  cacheSource,
  findProgram,
  isOlder,
  pathSource,
  variableSource,
  type FoundProgram,
  type LocatedProgram,
  type ProgramSource,
  type ProgramVariable,
} from './program-sources.js';
import { sdkVersion, vendorDownloadSource } from './vendor-download.js';

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
export async function findTemporalCli({ settings, report, sources }: FindOptions): Promise<LocatedProgram> {
  const variable: ProgramVariable = {
    name: 'TEMPORAL_CLI_PATH',
    path: settings.temporalCliPath,
    example: '/usr/local/bin/temporal',
    fix: 'TEMPORAL_CLI_PATH=<path of a temporal program> npm start',
    verify: checkCli,
  };
  return findProgram({
    program: 'Temporal CLI',
    variable,
    sources: sources ?? [variableSource(variable), ...cliSources(settings.cacheDir, report)],
  });
}

function cliSources(cacheDir: string, report: Reporter): ProgramSource[] {
  const built = join(cacheDir, `temporal-cli-${builtVersion}`, executableName('temporal'));
  const downloaded = join(cacheDir, `temporal-cli-for-sdk-${sdkVersion}`, executableName('temporal'));
  const goPackage = `github.com/temporalio/cli/cmd/temporal@v${builtVersion}`;
  return [
    pathSource({
      name: 'a "temporal" on PATH',
      fix: 'install the Temporal CLI: https://docs.temporal.io/cli',
      command: 'temporal',
      verify: checkCli,
    }),
    cacheSource({
      cacheDir,
      fix: `put a temporal program at ${built}`,
      paths: [downloaded, built],
      verify: checkCli,
    }),
    vendorDownloadSource({
      server: 'dev-server',
      size: 'about 50 MB',
      target: downloaded,
      report,
      step: 'downloading the Temporal CLI',
      verify: checkCli,
    }),
    fetchSource({
      name: `a build with Go: go install ${goPackage}`,
      fix: 'install Go 1.24 or newer (https://go.dev/dl) and let it reach its module proxy (GOPROXY)',
      target: built,
      report,
      step: `building the Temporal CLI ${builtVersion} with Go (only once; takes minutes)`,
      fetch: () => buildWithGo([goPackage], built, (folder) => rename(join(folder, executableName('temporal')), built)),
      verify: checkCli,
    }),
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
