import { isLoopback } from '../http-client/addresses.js';
import type { Environment } from '../temporal/connection-profile.js';
import { BATCH_TASK_QUEUE } from '../workflows/batch/contract.js';
import type { ConfigProblem } from './errors.js';
import { isHttpsUrl } from './parsers.js';
import type { ProcessName } from './variables/declaration.js';
import { VARIABLES, variablesReadBy, type VariableValues } from './variables/index.js';

/** The values of all valid variables. */
type ValidValues = Partial<VariableValues & { TEMPORAL_NAMESPACE: string }>;

/**
 * Checks the rules between several variables. Invalid variables are missing in `values`, because they are already
 * reported.
 */
export function checkCombinations(processName: ProcessName, values: ValidValues, env: Environment): ConfigProblem[] {
  return [
    ...findIncompleteGroups(processName, values, env),
    ...findUnusedTargets(values),
    ...(processName === 'worker' ? [...checkPaymentGateway(values, env), ...checkStripeConnection(values)] : []),
    ...findPortConflict(values),
    ...checkBatchConcurrency(values),
    ...checkOrderRetention(values),
    ...(processName === 'replay' ? [] : checkApprovalNamespace(values)),
    ...(processName === 'api' ? [...checkAuthentication(values), ...checkSignIn(values, env)] : []),
  ];
}

/** Groups of variables that must be set together. */
const VARIABLE_GROUPS = [
  ['ORDER_APPROVAL_THRESHOLD', 'ORDER_APPROVAL_STAGES'],
  ['JWT_ISSUER', 'JWT_AUDIENCE', 'JWT_JWKS_URL'],
  ['SLACK_BOT_TOKEN', 'SLACK_SIGNING_SECRET', 'SLACK_APPROVERS'],
  ['TEMPORAL_DEPLOYMENT_NAME', 'TEMPORAL_WORKER_BUILD_ID'],
] as const;

function findIncompleteGroups(processName: ProcessName, values: ValidValues, env: Environment): ConfigProblem[] {
  const readNames = variablesReadBy(processName);
  return VARIABLE_GROUPS.flatMap((group) => {
    const present = group.filter((name) => values[name] !== undefined);
    if (present.length === 0) return [];
    // A variable that is set but invalid is already reported. A process needs only the variables that it reads.
    const missing = group.filter((name) => env[name] === undefined && readNames.includes(name));
    return missing.map((name) => ({
      name,
      problem: `must be set together with ${present.join(', ')}`,
      example: VARIABLES[name].example,
    }));
  });
}

/** Resource targets have no effect when the numbers of slots are fixed. */
function findUnusedTargets(values: ValidValues): ConfigProblem[] {
  if (values.WORKER_TUNER !== 'fixed') return [];
  return (['WORKER_TARGET_MEMORY', 'WORKER_TARGET_CPU'] as const)
    .filter((name) => values[name] !== undefined)
    .map((name) => ({
      name,
      problem: 'has no effect without WORKER_TUNER=resource-based',
      example: 'WORKER_TUNER=resource-based',
    }));
}

/** Each adapter to a payment gateway has variables of its own. */
function checkPaymentGateway({ PAYMENTS: adapter }: ValidValues, env: Environment): ConfigProblem[] {
  if (adapter === undefined) return [];
  const isStripe = adapter === 'stripe';
  const required = isStripe ? 'STRIPE_SECRET_KEY' : 'PAYMENTS_URL';
  const problem = isStripe ? 'must be set together with PAYMENTS=stripe' : 'is not set';
  const unused = isStripe ? [] : (['STRIPE_SECRET_KEY', 'STRIPE_API_URL'] as const);
  return [
    // A variable that is set but invalid is already reported, like a file that cannot be read.
    ...(env[required] === undefined && env[`${required}_FILE`] === undefined
      ? [{ name: required, problem, example: VARIABLES[required].example }]
      : []),
    ...unused
      .filter((name) => env[name] !== undefined)
      .map((name) => ({ name, problem: 'has no effect without PAYMENTS=stripe', example: 'PAYMENTS=stripe' })),
  ];
}

/** Without TLS, everyone on the network can read a live key. */
function checkStripeConnection({ STRIPE_SECRET_KEY: key, STRIPE_API_URL: url }: ValidValues): ConfigProblem[] {
  if (!key?.includes('_live_') || !url?.startsWith('http:')) return [];
  const problem = 'must be an https URL, because STRIPE_SECRET_KEY is a live key';
  return [{ name: 'STRIPE_API_URL', problem, got: url, example: 'https://api.stripe.com' }];
}

/** A process cannot serve two things on the same port. */
function findPortConflict({ PORT, HEALTH_PORT, METRICS_PORT }: ValidValues): ConfigProblem[] {
  const [name, other] = PORT === undefined ? ['HEALTH_PORT', HEALTH_PORT] : ['PORT', PORT];
  if (METRICS_PORT === undefined || METRICS_PORT !== other) return [];
  const problem = `must differ from ${name}; both are ${METRICS_PORT}`;
  return [{ name: 'METRICS_PORT', problem, example: String(suggestPort(METRICS_PORT)) }];
}

/** Suggests a different port for the example of an error message. */
export function suggestPort(taken: number): number {
  return taken < 65_000 ? taken + 100 : taken - 100;
}

/** Each running chunk of a batch uses a database connection. With too few connections, chunks time out. */
function checkBatchConcurrency(values: ValidValues): ConfigProblem[] {
  const { WORKER_TASK_QUEUES: queues, BATCH_MAX_CONCURRENT_CHUNKS: chunks, DATABASE_POOL_SIZE: connections } = values;
  if (!queues?.includes(BATCH_TASK_QUEUE) || chunks === undefined || connections === undefined) return [];
  if (chunks <= connections) return [];
  return [
    {
      name: 'BATCH_MAX_CONCURRENT_CHUNKS',
      problem: `must be at most DATABASE_POOL_SIZE (${connections})`,
      got: String(chunks),
      example: String(connections),
    },
  ];
}

/** The response to the request of an order contains personal data too, so it must not be kept longer than the order. */
function checkOrderRetention(values: ValidValues): ConfigProblem[] {
  const { ORDER_RETENTION_DAYS: days, IDEMPOTENCY_KEY_RETENTION_HOURS: hours } = values;
  if (days === undefined || hours === undefined || days * 24 >= hours) return [];
  return [
    {
      name: 'ORDER_RETENTION_DAYS',
      problem: `must be at least IDEMPOTENCY_KEY_RETENTION_HOURS (${hours} hours)`,
      got: String(days),
      example: String(Math.ceil(hours / 24)),
    },
  ];
}

/** In one namespace, a worker would poll the task queue of approvals twice. */
function checkApprovalNamespace({ APPROVAL_NAMESPACE, TEMPORAL_NAMESPACE }: ValidValues): ConfigProblem[] {
  if (APPROVAL_NAMESPACE === undefined || APPROVAL_NAMESPACE !== TEMPORAL_NAMESPACE) return [];
  const { example } = VARIABLES.APPROVAL_NAMESPACE;
  return [{ name: 'APPROVAL_NAMESPACE', problem: 'must differ from TEMPORAL_NAMESPACE', example }];
}

/**
 * Without API keys and JWTs, every caller has all permissions. In this case, the API must be reachable only from this
 * machine.
 */
function checkAuthentication({ HOST, API_KEYS, JWT_ISSUER }: ValidValues): ConfigProblem[] {
  if (API_KEYS !== undefined || JWT_ISSUER !== undefined || HOST === undefined || isLoopback(HOST)) return [];
  const problem = 'API_KEYS or JWT_ISSUER must be set, because HOST is not a loopback address';
  return [{ name: 'API_KEYS', problem, example: VARIABLES.API_KEYS.example }];
}

/** The sign-in with an identity provider needs a client, and an issuer whose endpoints can be found. */
function checkSignIn({ JWT_ISSUER: issuer }: ValidValues, env: Environment): ConfigProblem[] {
  const { example } = VARIABLES.JWT_ISSUER;
  if (env.OIDC_CLIENT_ID === undefined) {
    if (env.OIDC_CLIENT_SECRET === undefined) return [];
    const problem = 'must be set together with OIDC_CLIENT_SECRET';
    return [{ name: 'OIDC_CLIENT_ID', problem, example: VARIABLES.OIDC_CLIENT_ID.example }];
  }
  if (issuer !== undefined) {
    if (isHttpsUrl(issuer)) return [];
    const problem = 'must be an https URL, because OIDC_CLIENT_ID is set';
    return [{ name: 'JWT_ISSUER', problem, got: issuer, example }];
  }
  // An incomplete group is already reported.
  if (env.JWT_AUDIENCE !== undefined || env.JWT_JWKS_URL !== undefined) return [];
  return [{ name: 'JWT_ISSUER', problem: 'must be set together with OIDC_CLIENT_ID', example }];
}
