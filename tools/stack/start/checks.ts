import { readConfig } from '../../../src/config/read.js';
import type { ConfigProblem } from '../../../src/config/errors.js';
import { checkServers, checkWorkerSettings } from '../../../src/startup/checks/index.js';
import type { Listener } from '../../../src/startup/checks/ports.js';
import { acquireLock, LockHeldError } from '../../processes/lock.mjs';
import { duplicatePortProblems, takenPortProblems } from '../../processes/ports.js';
import { findTemporalCli } from '../../servers/programs/temporal-cli.js';
import { silentReporter } from '../../terminal/reporter.js';
import { inheritedEnvironment } from '../../settings/environment.js';
import { SettingsError, type Settings } from '../../settings/settings.js';
import { lockFile } from '../data-files.js';
import { usesFakes } from '../../settings/development-environment.js';
import { baseUrl, externalSystemUrls, sharedEnvironment } from './environment.js';

/**
 * Returns the problems that would prevent the start of worker, API or setup: invalid variables, and configured servers
 * that do not respond. Runs before the stack starts any server.
 */
export async function configurationProblems(settings: Settings): Promise<ConfigProblem[]> {
  const env = {
    ...inheritedEnvironment(),
    ...sharedEnvironment(settings, {
      apiUrl: baseUrl(settings.host, settings.port),
      temporalAddress: settings.temporalAddress ?? `127.0.0.1:${settings.temporalPort}`,
      // A placeholder, because the real URL is known only after PostgreSQL has started.
      databaseUrl: settings.databaseUrl ?? 'postgres://127.0.0.1',
      ...externalSystemUrls(settings),
    }),
  };
  const worker = readConfig('worker', {
    ...env,
    HEALTH_PORT: String(settings.workerHealthPort),
    METRICS_PORT: String(settings.workerMetricsPort),
  });
  const api = readConfig('api', { ...env, PORT: String(settings.port), METRICS_PORT: String(settings.metricsPort) });
  const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_CREDENTIALS } = worker.values;
  // Checks the servers as `setup` does. The checks of the worker and the API would report missing tables and a missing
  // namespace, but the setup step of this start creates them.
  const [serverProblems, temporalCliProblems] = await Promise.all([
    checkServers('setup', {
      DATABASE_URL: settings.databaseUrl,
      ...(settings.temporalAddress !== undefined && { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_CREDENTIALS }),
    }),
    cliProblems(settings),
  ]);
  // `portProblems` checks the ports, under the names of their variables in the development stack.
  const isAboutPorts = ({ name }: ConfigProblem) => ['PORT', 'HEALTH_PORT', 'METRICS_PORT'].includes(name);
  return [
    ...[...worker.problems, ...api.problems].filter((problem) => !isAboutPorts(problem)),
    ...checkWorkerSettings(worker.values),
    ...serverProblems,
    ...temporalCliProblems,
  ];
}

/** Returns the problem of a configured CLI that does not work. The stack then does not search for another CLI. */
async function cliProblems(settings: Settings): Promise<readonly ConfigProblem[]> {
  if (settings.temporalAddress !== undefined || settings.temporalCliPath === undefined) return [];
  return await findTemporalCli({ settings, report: silentReporter }).then(
    () => [],
    (error: unknown) => {
      if (error instanceof SettingsError) return error.problems;
      throw error;
    },
  );
}

/**
 * Locks the data folder, so that two stacks cannot use the same folder. Returns the function that releases the lock.
 *
 * @throws when another stack has the lock, or when the folder is not writable.
 */
export async function lockDataDir(dataDir: string): Promise<() => void> {
  try {
    return await acquireLock(lockFile(dataDir));
  } catch (error) {
    if (error instanceof LockHeldError)
      throw new Error(
        `A stack is already running on ${dataDir} (process ${error.ownerPid}). ` +
          `Stop that stack, or start this one with other ports and its own data: PORT_OFFSET=1000 npm start`,
        { cause: error },
      );
    throw new Error(`DATA_DIR ${dataDir} is not writable: ${(error as Error).message}`, { cause: error });
  }
}

/** Returns the problems of the stack's ports: duplicate ports, and ports that are already in use. */
export async function portProblems(settings: Settings, webUi: boolean): Promise<ConfigProblem[]> {
  const listener = (portVariable: string, port: number): Listener => ({ host: '127.0.0.1', port, portVariable });
  const listeners: Listener[] = [
    { host: settings.host, port: settings.port, hostVariable: 'HOST', portVariable: 'PORT' },
    ...(settings.temporalAddress === undefined
      ? [
          listener('TEMPORAL_PORT', settings.temporalPort),
          ...(webUi ? [listener('TEMPORAL_UI_PORT', settings.temporalUiPort)] : []),
        ]
      : []),
    listener('WORKER_HEALTH_PORT', settings.workerHealthPort),
    listener('METRICS_PORT', settings.metricsPort),
    listener('WORKER_METRICS_PORT', settings.workerMetricsPort),
    ...(usesFakes(settings) ? [listener('FAKES_PORT', settings.fakesPort)] : []),
    ...(settings.smtpUrl === undefined ? [listener('FAKES_SMTP_PORT', settings.smtpPort)] : []),
  ];
  return [...duplicatePortProblems(listeners), ...(await takenPortProblems(listeners))];
}
