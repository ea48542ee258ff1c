import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { onPath, runCommand } from '../../processes/commands.js';
import { goInstall, once } from './fetched.js';
import type { Report } from '../../terminal/report.js';
import { SettingsError, type Settings } from '../../stack/settings.js';
import { firstWay, isOlder, unsetVariable, type Found, type Way } from './ways.js';

/** This version needs Go 1.26.8; 1.32.2 needs a newer Go. */
const builtVersion = '1.32.0';
/** The first version with everything that the workflows use and with a built-in configuration. */
const oldest = [1, 30] as const;

const modules = 'go.temporal.io/server/cmd';
const names = { server: 'temporal-server', sqlTool: 'temporal-sql-tool' } as const;

/** The programs of the full Temporal server, which keeps its state in an external database. */
export interface TemporalPrograms {
  readonly server: string;
  /** Sets up and updates the schema. */
  readonly sqlTool: string;
  readonly version: string;
  /** The way that found them. */
  readonly way: string;
}

interface Search {
  settings: Pick<Settings, 'cacheDir' | 'temporalServerPath'>;
  report: Report;
  /** False leaves out the build, which takes minutes. */
  build?: boolean;
  /** Replaces the ways to find them; for tests. */
  ways?: readonly Way[];
}

/**
 * Finds `temporal-server` and `temporal-sql-tool`, which must be in one folder. It tries TEMPORAL_SERVER_PATH, PATH,
 * the cache, and a build of the Go module, which the cache then keeps.
 *
 * @throws SettingsError when TEMPORAL_SERVER_PATH is set and does not work; NoWay when no way works.
 */
export async function findTemporalPrograms({
  settings,
  report,
  build = true,
  ways,
}: Search): Promise<TemporalPrograms> {
  const given = settings.temporalServerPath;
  if (given !== undefined) {
    try {
      return { ...programsIn(await check(given)), way: 'TEMPORAL_SERVER_PATH' };
    } catch (error) {
      const problem = `must be the folder of ${names.server} and ${names.sqlTool}: ${(error as Error).message}`;
      throw new SettingsError([{ name: 'TEMPORAL_SERVER_PATH', problem, example: '/usr/local/bin' }]);
    }
  }
  const found = await firstWay('Temporal server', ways ?? waysToPrograms(settings.cacheDir, report, build));
  return { ...programsIn(found), way: found.way };
}

function waysToPrograms(cacheDir: string, report: Report, build: boolean): Way[] {
  const built = join(cacheDir, `temporal-server-${builtVersion}`, 'bin');
  const packages = [`${modules}/server@v${builtVersion}`, `${modules}/tools/sql@v${builtVersion}`];
  return [
    unsetVariable('TEMPORAL_SERVER_PATH', `TEMPORAL_SERVER_PATH=<the folder of ${names.server} and ${names.sqlTool}>`),
    {
      name: `a "${names.server}" on PATH, with ${names.sqlTool} beside it`,
      cure: 'install the programs of a release: https://github.com/temporalio/temporal/releases',
      find: async () => {
        const server = onPath(names.server);
        if (server === undefined) throw new Error('there is none');
        return check(dirname(server));
      },
    },
    {
      name: `the cache ${cacheDir}`,
      cure: `put both programs into ${built}`,
      find: async () => {
        if (!existsSync(built)) throw new Error('it holds none yet');
        return check(built);
      },
    },
    {
      name: `a build with Go: go install ${packages.join(' ')}`,
      cure: 'install Go 1.26.8 or newer (https://go.dev/dl) and let it reach its module proxy (GOPROXY)',
      find: () => {
        if (!build) throw new Error('not done here; "npm run e2e:cluster" does it, once');
        return once({
          target: built,
          report,
          check: () => check(built),
          make: () =>
            report.during(`building the Temporal server ${builtVersion} with Go, once, takes minutes`, () =>
              goInstall(packages, built, async (folder) => {
                const draft = join(folder, 'bin');
                await mkdir(draft);
                await rename(join(folder, 'server'), join(draft, names.server));
                await rename(join(folder, 'sql'), join(draft, names.sqlTool));
                await rename(draft, built);
              }),
            ),
        });
      },
    },
  ];
}

function programsIn({ path, version }: Found): Omit<TemporalPrograms, 'way'> {
  return { server: join(path, names.server), sqlTool: join(path, names.sqlTool), version };
}

async function check(folder: string): Promise<Found> {
  const versions: string[] = [];
  for (const name of [names.server, names.sqlTool]) {
    const command = join(folder, name);
    const output = await runCommand({ name: `"${command} --version"`, command, args: ['--version'], limitMs: 20_000 });
    const version = /^temporal(?:-sql-tool)? version (\d+\.\d+\.\d+)/m.exec(output)?.[1];
    if (version === undefined) throw new Error(`${command} does not say its version: ${output.slice(0, 200)}`);
    versions.push(version);
  }
  const [server = '', sqlTool = ''] = versions;
  if (server !== sqlTool) throw new Error(`${folder} has a server ${server} and a schema tool ${sqlTool}`);
  if (isOlder(server, oldest))
    throw new Error(`${folder} has server ${server}; ${oldest.join('.')} or newer is needed`);
  return { path: folder, version: server };
}
