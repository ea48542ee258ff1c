import { forbiddenUrls } from '../approval-links/urls.js';
import { ConfigError, readConfig, type Config, type Problem, type Role } from '../config.js';
import { createOutgoing } from '../http-client/outgoing.js';
import { hasWorkflows } from '../temporal/task-queues.js';
import { isTracingOn } from '../observability/tracing/index.js';
import { bundleProblem } from './bundle.js';
import { databaseFinding } from './database.js';
import type { Finding } from './finding.js';
import { portProblems, type Listener } from './ports.js';
import { temporalFinding } from './temporal.js';

type StartRole = Exclude<Role, 'replay'>;
type AllVariables = Config<'worker'> & Config<'api'> & Config<'setup'>;
/** The variables with valid values. */
type Values = { readonly [Name in keyof AllVariables]?: AllVariables[Name] | undefined };

const TITLES: Record<StartRole, string> = { worker: 'The worker', api: 'The API', setup: 'The setup' };

/**
 * Reads the configuration of a starting process.
 *
 * @throws ConfigError with all problems: invalid values, and failed checks of the valid ones.
 */
export async function startConfig<R extends StartRole>(role: R): Promise<Config<R>> {
  const { values, problems } = readConfig(role);
  if (problems.length === 0) return values as Config<R>;
  const around = await problemsAround(role, values);
  throw new ConfigError(TITLES[role], [...problems, ...around.problems, ...around.tolerated]);
}

/**
 * Checks ports, files, database and Temporal of a configuration, with a limit of a few seconds each.
 *
 * @returns for the API, which starts without its servers, the problems of unreachable servers.
 * @throws ConfigError with all problems.
 */
export async function checkAround<R extends StartRole>(role: R, config: Config<R>): Promise<Problem[]> {
  const { problems, tolerated } = await problemsAround(role, config);
  if (problems.length) throw new ConfigError(TITLES[role], [...problems, ...tolerated]);
  return tolerated;
}

async function problemsAround(role: StartRole, values: Values) {
  const [ofPorts, ofServers] = await Promise.all([
    portProblems(listenersOf(role, values)),
    serverFindings(role, values),
  ]);
  const isTolerated = ({ kind }: Finding) => role === 'api' && kind === 'unreachable';
  return {
    problems: [
      ...ofPorts,
      ...(role === 'worker' ? workerProblems(values) : []),
      ...ofServers.filter((f) => !isTolerated(f)),
    ],
    tolerated: ofServers.filter(isTolerated),
  };
}

/** Checks database and Temporal. Tables and namespace must exist, except for the setup, which creates them. */
export async function serverFindings(role: StartRole, values: Values): Promise<Finding[]> {
  const { DATABASE_URL, TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_CREDENTIALS } = values;
  const isSetUp = role !== 'setup';
  const findings = await Promise.all([
    DATABASE_URL !== undefined ? databaseFinding(DATABASE_URL, { withTables: isSetUp }) : undefined,
    TEMPORAL_ADDRESS !== undefined && TEMPORAL_NAMESPACE !== undefined && TEMPORAL_CREDENTIALS !== undefined
      ? temporalFinding({ TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_CREDENTIALS }, { withNamespace: isSetUp })
      : undefined,
  ]);
  return findings.filter((finding) => finding !== undefined);
}

function listenersOf(role: StartRole, values: Values): Listener[] {
  const { HOST, PORT, HEALTH_HOST, HEALTH_PORT, METRICS_HOST, METRICS_PORT } = values;
  const listener = (hostVariable: string, host: string | undefined, portVariable: string, port: number | undefined) =>
    host === undefined || port === undefined ? [] : [{ host, port, hostVariable, portVariable }];
  return [
    ...(role === 'api' ? listener('HOST', HOST, 'PORT', PORT) : []),
    ...(role === 'worker' ? listener('HEALTH_HOST', HEALTH_HOST, 'HEALTH_PORT', HEALTH_PORT) : []),
    ...(role === 'setup' ? [] : listener('METRICS_HOST', METRICS_HOST, 'METRICS_PORT', METRICS_PORT)),
  ];
}

/** Checks what only a worker needs: the workflow bundle, and the webhooks of the systems that approve orders. */
export function workerProblems(values: Values): Problem[] {
  const { WORKFLOW_BUNDLE: bundle, WORKER_QUEUES: queues = [], ORDER_APPROVAL_STAGES: stages = [] } = values;
  const traced = isTracingOn(values as Config<'worker'>);
  const encrypted = values.PAYLOAD_ENCRYPTION_KEYS !== undefined;
  const ofBundle =
    bundle !== undefined && queues.some(hasWorkflows) ? bundleProblem(bundle, { traced, encrypted }) : undefined;
  const { OUTGOING_ALLOWED_HOSTS: allowedHosts, OUTGOING_ALLOW_PRIVATE: allowPrivate } = values;
  const forbidden =
    allowedHosts !== undefined && allowPrivate !== undefined
      ? forbiddenUrls({ stages }, createOutgoing({ allowedHosts, allowPrivate }))
      : [];
  const ofStages = forbidden.map(({ pointer, detail }) => ({
    name: 'ORDER_APPROVAL_STAGES',
    problem: `${pointer.replace('/stages', '')} ${detail}`,
    example: 'OUTGOING_ALLOWED_HOSTS=hooks.example.com',
  }));
  return [...(ofBundle ? [ofBundle] : []), ...ofStages];
}
