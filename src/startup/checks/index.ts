import { findForbiddenUrls } from '../../http-client/forbidden-urls.js';
import { ConfigError, type ConfigProblem } from '../../config/errors.js';
import { readConfig, type Config } from '../../config/read.js';
import type { ProcessName } from '../../config/variables/declaration.js';
import { createOutgoingHttpClient } from '../../http-client/outgoing-http-client.js';
import { hasWorkflows } from '../../temporal/task-queues.js';
import { isTracingEnabled } from '../../observability/tracing/index.js';
import { checkBundle } from './bundle.js';
import { checkDatabase } from './database.js';
import type { ServerProblem } from './server-problem.js';
import { checkPorts, type Listener } from './ports.js';
import { checkTemporal } from './temporal.js';

type StartupProcessName = Exclude<ProcessName, 'replay'>;
type AllConfig = Config<'worker'> & Config<'api'> & Config<'setup'>;
/** The valid values of the configuration. Variables with an invalid value are missing. */
type ValidValues = { readonly [Name in keyof AllConfig]?: AllConfig[Name] | undefined };

const PROCESS_TITLES: Record<StartupProcessName, string> = { worker: 'The worker', api: 'The API', setup: 'The setup' };

/**
 * Reads the configuration of a starting process.
 *
 * @throws ConfigError with all problems: invalid values, and failed checks of the valid values.
 */
export async function loadStartupConfig<P extends StartupProcessName>(processName: P): Promise<Config<P>> {
  const { values, problems } = readConfig(processName);
  if (problems.length === 0) return values as Config<P>;
  const environment = await findEnvironmentProblems(processName, values);
  throw new ConfigError(PROCESS_TITLES[processName], [...problems, ...environment.problems, ...environment.tolerated]);
}

/**
 * Checks the ports, files, database and Temporal server of a configuration. Each check takes at most a few seconds.
 *
 * @returns the problems of unreachable servers. Always empty except for the API, which starts without its servers.
 * @throws ConfigError with all problems.
 */
export async function checkEnvironment<P extends StartupProcessName>(
  processName: P,
  config: Config<P>,
): Promise<ConfigProblem[]> {
  const { problems, tolerated } = await findEnvironmentProblems(processName, config);
  if (problems.length) throw new ConfigError(PROCESS_TITLES[processName], [...problems, ...tolerated]);
  return tolerated;
}

async function findEnvironmentProblems(processName: StartupProcessName, values: ValidValues) {
  const [portProblems, serverProblems] = await Promise.all([
    checkPorts(configuredListeners(processName, values)),
    checkServers(processName, values),
  ]);
  const isTolerated = ({ kind }: ServerProblem) => processName === 'api' && kind === 'unreachable';
  return {
    problems: [
      ...portProblems,
      ...(processName === 'worker' ? checkWorkerSettings(values) : []),
      ...serverProblems.filter((problem) => !isTolerated(problem)),
    ],
    tolerated: serverProblems.filter(isTolerated),
  };
}

/**
 * Checks the database and Temporal. The tables and the namespaces must exist, except for the setup, which creates them.
 */
export async function checkServers(processName: StartupProcessName, values: ValidValues): Promise<ServerProblem[]> {
  const { DATABASE_URL, TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_CREDENTIALS, APPROVAL_NAMESPACE } = values;
  const isSetUp = processName !== 'setup';
  const problems = await Promise.all([
    DATABASE_URL !== undefined ? checkDatabase(DATABASE_URL, { expectTables: isSetUp }) : undefined,
    TEMPORAL_ADDRESS !== undefined && TEMPORAL_NAMESPACE !== undefined && TEMPORAL_CREDENTIALS !== undefined
      ? checkTemporal(
          { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_CREDENTIALS, APPROVAL_NAMESPACE },
          { expectNamespace: isSetUp, orderRetentionDays: values.ORDER_RETENTION_DAYS },
        )
      : undefined,
  ]);
  return problems.filter((problem) => problem !== undefined);
}

function configuredListeners(processName: StartupProcessName, values: ValidValues): Listener[] {
  const { HOST, PORT, HEALTH_HOST, HEALTH_PORT, METRICS_HOST, METRICS_PORT } = values;
  const listener = (hostVariable: string, host: string | undefined, portVariable: string, port: number | undefined) =>
    host === undefined || port === undefined ? [] : [{ host, port, hostVariable, portVariable }];
  return [
    ...(processName === 'api' ? listener('HOST', HOST, 'PORT', PORT) : []),
    ...(processName === 'worker' ? listener('HEALTH_HOST', HEALTH_HOST, 'HEALTH_PORT', HEALTH_PORT) : []),
    ...(processName === 'setup' ? [] : listener('METRICS_HOST', METRICS_HOST, 'METRICS_PORT', METRICS_PORT)),
  ];
}

/**
 * Checks the settings that only a worker uses: the workflow bundle, and the webhook URLs of external systems that
 * approve orders.
 */
export function checkWorkerSettings(values: ValidValues): ConfigProblem[] {
  const { WORKFLOW_BUNDLE: bundle, WORKER_TASK_QUEUES: queues = [], ORDER_APPROVAL_STAGES: stages = [] } = values;
  const traced = isTracingEnabled(values as Config<'worker'>);
  const encrypted = values.PAYLOAD_ENCRYPTION_KEYS !== undefined;
  const bundleProblem =
    bundle !== undefined && queues.some(hasWorkflows) ? checkBundle(bundle, { traced, encrypted }) : undefined;
  const { OUTGOING_ALLOWED_HOSTS: allowedHosts, OUTGOING_ALLOW_PRIVATE: allowPrivate } = values;
  const forbidden =
    allowedHosts !== undefined && allowPrivate !== undefined
      ? findForbiddenUrls({ stages }, createOutgoingHttpClient({ allowedHosts, allowPrivateAddresses: allowPrivate }))
      : [];
  const stageProblems = forbidden.map(({ pointer, detail }) => ({
    name: 'ORDER_APPROVAL_STAGES',
    problem: `${pointer.replace('/stages', '')} ${detail}`,
    example: 'OUTGOING_ALLOWED_HOSTS=hooks.example.com',
  }));
  return [...(bundleProblem ? [bundleProblem] : []), ...stageProblems];
}
