import { readFileSync } from 'node:fs';
import {
  describeCredentials,
  PROFILE_SECRETS,
  PROFILE_VARIABLES,
  readTemporalProfile,
  type Environment,
  type TemporalCredentials,
} from '../temporal/connection-profile.js';
import { checkCombinations } from './checks.js';
import { ConfigError, type ConfigProblem } from './errors.js';
import type { ProcessName, VariableDeclaration } from './variables/declaration.js';
import {
  VARIABLES,
  variablesReadBy,
  type VariableName,
  type VariableNamesOf,
  type VariableValues,
} from './variables/index.js';

/** The connection settings from the environment or a Temporal profile. See src/temporal/connection-profile.ts. */
interface TemporalConfig {
  readonly TEMPORAL_ADDRESS: string;
  readonly TEMPORAL_NAMESPACE: string;
  readonly TEMPORAL_CREDENTIALS: TemporalCredentials;
}

type VariablesOf<P extends ProcessName> = Pick<VariableValues, VariableNamesOf<P>> & TemporalConfig;

interface ConfigByProcess {
  worker: VariablesOf<'worker'>;
  api: VariablesOf<'api'>;
  setup: VariablesOf<'setup'>;
  replay: VariablesOf<'replay'>;
}

/** The configuration of a process, by variable name. */
export type Config<P extends ProcessName> = ConfigByProcess[P];

/** The valid values of a configuration, and the problems of its invalid variables. */
export interface ConfigResult<P extends ProcessName> {
  values: Readonly<Partial<Config<P>>>;
  problems: ConfigProblem[];
}

/**
 * Reads the variables of a process. An empty variable counts as unset. A secret can be in a file: `API_KEYS_FILE`
 * contains the path of a file with the value of `API_KEYS`. A final line break in the file is removed. Problems never
 * contain a secret.
 *
 * This module is the only reader of `process.env` under `src/`.
 */
export function readConfig<P extends ProcessName>(
  processName: P,
  environment: NodeJS.ProcessEnv = process.env,
): ConfigResult<P> {
  const names = variablesReadBy(processName);
  const values: Record<string, unknown> = {};
  const { env, problems } = readSecretFiles(environment, [...names, ...PROFILE_SECRETS]);
  for (const name of names) {
    const { schema, example } = VARIABLES[name];
    const raw = env[name];
    const parsed = schema.safeParse(raw);
    if (parsed.success) values[name] = parsed.data;
    // A file that cannot be read is already reported.
    else if (raw !== undefined || env[`${name}_FILE`] === undefined) {
      const messages = new Set(parsed.error.issues.map(({ message }) => message));
      const problem = raw === undefined ? 'is not set' : [...messages].join(', ');
      problems.push({ name, problem, got: isSecret(name) ? undefined : raw, example });
    }
  }
  const profile = readTemporalProfile(env);
  if ('problems' in profile) problems.push(...profile.problems);
  else {
    values.TEMPORAL_ADDRESS = profile.address;
    values.TEMPORAL_NAMESPACE = profile.namespace;
    values.TEMPORAL_CREDENTIALS = profile.credentials;
  }
  problems.push(...checkCombinations(processName, values, env));
  return { values: Object.freeze(values) as Partial<Config<P>>, problems };
}

/**
 * Returns the configuration of a process.
 *
 * @throws ConfigError with all problems.
 */
export function loadConfig<P extends ProcessName>(
  processName: P,
  environment: NodeJS.ProcessEnv = process.env,
): Config<P> {
  const { values, problems } = readConfig(processName, environment);
  if (problems.length) throw new ConfigError(`The ${processName}`, problems);
  return values as Config<P>;
}

/** Returns the names of all variables that a process reads, including `…_FILE` variables. */
export function variableNames(processName: ProcessName): string[] {
  const names = [...variablesReadBy(processName), ...PROFILE_VARIABLES];
  return [...names, ...names.filter(isSecret).map((name) => `${name}_FILE`)];
}

/** Returns the configuration for logs. Secrets are masked. */
export function redactConfig(config: Partial<VariableValues & TemporalConfig>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => {
      if (name === 'TEMPORAL_CREDENTIALS') return [name, describeCredentials(value as TemporalCredentials)];
      return [name, isSecret(name) && value !== undefined ? '(set)' : value];
    }),
  );
}

function isSecret(name: string): boolean {
  const declaration: VariableDeclaration | undefined = VARIABLES[name as VariableName];
  return declaration?.secret === true || PROFILE_SECRETS.some((secret) => secret === name);
}

/** Returns the variables that are set, including the contents of secret files. */
function readSecretFiles(environment: NodeJS.ProcessEnv, names: readonly string[]) {
  const env = Object.fromEntries(Object.entries(environment).filter(([, value]) => value)) as Environment;
  const problems: ConfigProblem[] = [];
  for (const name of names.filter(isSecret)) {
    const file = env[`${name}_FILE`];
    if (file === undefined) continue;
    const addProblem = (problem: string) =>
      problems.push({ name: `${name}_FILE`, problem, example: `/run/secrets/${name.toLowerCase()}` });
    if (env[name] !== undefined) {
      addProblem(`must not be set together with ${name}`);
      continue;
    }
    try {
      const content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
      if (content) env[name] = content;
      else addProblem('names an empty file');
    } catch (error) {
      addProblem(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  return { env, problems };
}
