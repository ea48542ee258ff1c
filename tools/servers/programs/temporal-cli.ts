import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { onPath, runCommand } from '../../processes/commands.js';
import { goInstall, once } from './fetched.js';
import type { Report } from '../../terminal/report.js';
import { SettingsError, type Settings } from '../../stack/settings.js';
import { downloadFromVendor, sdkVersion } from './vendor-download.js';
import { firstWay, isOlder, unsetVariable, type Found, type Way } from './ways.js';

/**
 * The newest version that `go install` can build: the go.mod of 1.9 has a replace directive, which `go install`
 * rejects.
 */
const builtVersion = '1.5.1';
/** The first server version with everything that the workflows use: update-with-start became stable in it. */
const oldestServer = [1, 28] as const;

export interface TemporalCli extends Found {
  /** The way that found it. */
  readonly way: string;
}

interface Search {
  settings: Pick<Settings, 'cacheDir' | 'temporalCliPath'>;
  report: Report;
  /** Replaces the ways to find it; for tests. */
  ways?: readonly Way[];
}

/**
 * Finds the `temporal` program, which contains the command line, the dev server and the Web UI. It tries
 * TEMPORAL_CLI_PATH, PATH, the cache, the vendor's download through the SDK, and a build of the Go module, in this
 * order. The cache keeps what was downloaded or built.
 *
 * @throws SettingsError when TEMPORAL_CLI_PATH is set and does not work; NoWay when no way works.
 */
export async function findTemporalCli({ settings, report, ways }: Search): Promise<TemporalCli> {
  if (settings.temporalCliPath !== undefined) {
    try {
      return { ...(await check(settings.temporalCliPath)), way: 'TEMPORAL_CLI_PATH' };
    } catch (error) {
      const problem = (error as Error).message;
      throw new SettingsError([{ name: 'TEMPORAL_CLI_PATH', problem, example: '/usr/local/bin/temporal' }]);
    }
  }
  return firstWay('Temporal CLI', ways ?? waysToCli(settings.cacheDir, report));
}

function waysToCli(cacheDir: string, report: Report): Way[] {
  const built = join(cacheDir, `temporal-cli-${builtVersion}`, executable('temporal'));
  const downloaded = join(cacheDir, `temporal-cli-for-sdk-${sdkVersion}`, executable('temporal'));
  return [
    unsetVariable('TEMPORAL_CLI_PATH', 'TEMPORAL_CLI_PATH=<path of a temporal program> npm start'),
    {
      name: 'a "temporal" on PATH',
      cure: 'install the Temporal CLI: https://docs.temporal.io/cli',
      find: async () => check(onPath('temporal') ?? missing('there is none')),
    },
    {
      name: `the cache ${cacheDir}`,
      cure: `put a temporal program at ${built}`,
      find: async () => check([downloaded, built].find(existsSync) ?? missing('it holds none yet')),
    },
    {
      name: "the vendor's download, through the SDK (temporal.download, about 50 MB)",
      cure: 'let this machine reach https://temporal.download (behind a proxy: HTTPS_PROXY)',
      find: () =>
        once({
          target: downloaded,
          report,
          check: () => check(downloaded),
          make: () => report.during('downloading the Temporal CLI', () => downloadFromVendor('dev-server', downloaded)),
        }),
    },
    {
      name: `a build with Go: go install github.com/temporalio/cli/cmd/temporal@v${builtVersion}`,
      cure: 'install Go 1.24 or newer (https://go.dev/dl) and let it reach its module proxy (GOPROXY)',
      find: () =>
        once({
          target: built,
          report,
          check: () => check(built),
          make: () =>
            report.during(`building the Temporal CLI ${builtVersion} with Go, once, takes minutes`, () =>
              goInstall([`github.com/temporalio/cli/cmd/temporal@v${builtVersion}`], built, (folder) =>
                rename(join(folder, executable('temporal')), built),
              ),
            ),
        }),
    },
  ];
}

async function check(path: string): Promise<Found> {
  const output = await runCommand({
    name: `"${path} --version"`,
    command: path,
    args: ['--version'],
    limitMs: 20_000,
  });
  // A CLI built by `go install` reports its own version as 0.0.0-DEV, but always the version of its server.
  const version = /Server v?(\d+\.\d+\.\d+)/.exec(output)?.[1];
  if (!version) throw new Error(`${path} does not say that it is a Temporal CLI: ${output.slice(0, 200)}`);
  if (isOlder(version, oldestServer))
    throw new Error(`${path} brings server ${version}; ${oldestServer.join('.')} or newer is needed`);
  return { path, version: `server ${version}` };
}

function executable(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name;
}

function missing(why: string): never {
  throw new Error(why);
}
