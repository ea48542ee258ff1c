import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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
  type ProgramSource,
  type ProgramVariable,
} from './program-sources.js';

/** Server 1.32.0 needs Go 1.26.8. Server 1.32.2 needs a newer Go. */
const builtVersion = '1.32.0';
/** The oldest version that supports all features of the workflows and has a built-in configuration. */
const minimumVersion = [1, 30] as const;

const goModulePath = 'go.temporal.io/server/cmd';
const programNames = { server: 'temporal-server', sqlTool: 'temporal-sql-tool' } as const;

/** The programs of the full Temporal server, which keeps its state in an external database. */
export interface TemporalServerBinaries {
  readonly serverPath: string;
  /** Path of the program that creates and updates the database schema. */
  readonly sqlToolPath: string;
  readonly version: string;
  /** The name of the source that provided the programs. */
  readonly source: string;
}

interface FindOptions {
  settings: Pick<Settings, 'cacheDir' | 'temporalServerPath'>;
  report: Reporter;
  /** If false, the server is not built with Go, because the build takes minutes. */
  allowBuild?: boolean;
  /** Replaces the default sources in tests. */
  sources?: readonly ProgramSource[];
}

/**
 * Finds `temporal-server` and `temporal-sql-tool`, which must be in the same folder. Tries these sources in order:
 * TEMPORAL_SERVER_PATH, PATH, the cache, and a build of the Go module. Stores the built programs in the cache.
 *
 * @throws SettingsError when TEMPORAL_SERVER_PATH is set but does not work, and ProgramNotFoundError when no source
 * works.
 */
export async function findTemporalServerBinaries({
  settings,
  report,
  allowBuild = true,
  sources,
}: FindOptions): Promise<TemporalServerBinaries> {
  const variable: ProgramVariable = {
    name: 'TEMPORAL_SERVER_PATH',
    path: settings.temporalServerPath,
    example: '/usr/local/bin',
    fix: `TEMPORAL_SERVER_PATH=<the folder of ${programNames.server} and ${programNames.sqlTool}>`,
    verify: checkConfiguredFolder,
  };
  const { path, version, source } = await findProgram({
    program: 'Temporal server',
    variable,
    sources: sources ?? [variableSource(variable), ...binarySources(settings.cacheDir, report, allowBuild)],
  });
  return {
    serverPath: join(path, programNames.server),
    sqlToolPath: join(path, programNames.sqlTool),
    version,
    source,
  };
}

function binarySources(cacheDir: string, report: Reporter, allowBuild: boolean): ProgramSource[] {
  const built = join(cacheDir, `temporal-server-${builtVersion}`, 'bin');
  const packages = [`${goModulePath}/server@v${builtVersion}`, `${goModulePath}/tools/sql@v${builtVersion}`];
  return [
    pathSource({
      name: `a "${programNames.server}" on PATH, with ${programNames.sqlTool} beside it`,
      fix: 'install the programs of a release: https://github.com/temporalio/temporal/releases',
      command: programNames.server,
      verify: (server) => checkBinaries(dirname(server)),
    }),
    cacheSource({
      cacheDir,
      fix: `put both programs into ${built}`,
      paths: [built],
      verify: checkBinaries,
    }),
    fetchSource({
      name: `a build with Go: go install ${packages.join(' ')}`,
      fix: 'install Go 1.26.8 or newer (https://go.dev/dl) and let it reach its module proxy (GOPROXY)',
      target: built,
      report,
      step: `building the Temporal server ${builtVersion} with Go (only once; takes minutes)`,
      checkRequirements: async () => {
        if (!allowBuild) throw new Error('not built by this command; "npm run e2e:cluster" builds it once');
      },
      fetch: () =>
        buildWithGo(packages, built, async (folder) => {
          const draft = join(folder, 'bin');
          await mkdir(draft);
          await rename(join(folder, 'server'), join(draft, programNames.server));
          await rename(join(folder, 'sql'), join(draft, programNames.sqlTool));
          await rename(draft, built);
        }),
      verify: checkBinaries,
    }),
  ];
}

async function checkConfiguredFolder(folder: string): Promise<FoundProgram> {
  try {
    return await checkBinaries(folder);
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(`must be a folder with ${programNames.server} and ${programNames.sqlTool}: ${reason}`);
  }
}

async function checkBinaries(folder: string): Promise<FoundProgram> {
  const versions: string[] = [];
  for (const name of [programNames.server, programNames.sqlTool]) {
    const command = join(folder, name);
    const output = await runCommand({
      name: `"${command} --version"`,
      command,
      args: ['--version'],
      timeoutMs: 20_000,
    });
    const version = /^temporal(?:-sql-tool)? version (\d+\.\d+\.\d+)/m.exec(output)?.[1];
    if (version === undefined) throw new Error(`${command} does not print its version: ${output.slice(0, 200)}`);
    versions.push(version);
  }
  const [server = '', sqlTool = ''] = versions;
  if (server !== sqlTool)
    throw new Error(`${folder} must contain programs of one version, got server ${server} and schema tool ${sqlTool}`);
  if (isOlder(server, minimumVersion))
    throw new Error(`${folder} has server ${server}; ${minimumVersion.join('.')} or newer is needed`);
  return { path: folder, version: server };
}
