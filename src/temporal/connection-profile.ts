import { existsSync } from 'node:fs';
import { loadClientConfigProfile, toClientOptions, type ClientConfigProfile } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { isLoopback } from '../http-client/addresses.js';
import { PEM_VARIABLES, validateCertificates, type Environment } from './certificates.js';
import type { ConfigProblem } from '../config/errors.js';

export type { Environment } from './certificates.js';

/**
 * TLS, API key and gRPC metadata for the connections of clients and workers. Empty when the server needs no
 * authentication.
 */
export type TemporalCredentials = Pick<NativeConnectionOptions, 'tls' | 'apiKey' | 'metadata'>;

/** The connection settings for Temporal. */
export interface TemporalProfile {
  address: string;
  namespace: string;
  credentials: TemporalCredentials;
}

/**
 * The variables of a profile. Temporal's SDKs and CLI use the same names. The profile also reads `TEMPORAL_GRPC_META_…`
 * variables.
 */
export const PROFILE_VARIABLES = [
  'TEMPORAL_ADDRESS',
  'TEMPORAL_NAMESPACE',
  'TEMPORAL_PROFILE',
  'TEMPORAL_CONFIG_FILE',
  'TEMPORAL_API_KEY',
  'TEMPORAL_TLS',
  'TEMPORAL_TLS_SERVER_NAME',
  ...Object.values(PEM_VARIABLES).flatMap((name) => [`${name}_PATH`, `${name}_DATA`] as const),
] as const;

/** What each variable of a profile sets. docs/reference/configuration.md shows these texts. */
export const PROFILE_DESCRIPTIONS: Readonly<Record<(typeof PROFILE_VARIABLES)[number], string>> = {
  TEMPORAL_ADDRESS: 'The address of the Temporal service, as host:port. By default 127.0.0.1:7233.',
  TEMPORAL_NAMESPACE: 'The namespace. By default `default`.',
  TEMPORAL_PROFILE: 'The name of a profile in the configuration file. The other variables override the profile.',
  TEMPORAL_CONFIG_FILE: 'The path of a configuration file in the format of the Temporal CLI.',
  TEMPORAL_API_KEY: 'An API key of the Temporal service.',
  TEMPORAL_TLS:
    '`true` or `false`. By default, TLS is on if an API key or a certificate is set. A connection to another machine needs TLS or `false`.',
  TEMPORAL_TLS_SERVER_NAME: "The name in the server's certificate, if the name differs from the address.",
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: "The path of the server's CA certificate in PEM format.",
  TEMPORAL_TLS_SERVER_CA_CERT_DATA: "The server's CA certificate in PEM format.",
  TEMPORAL_TLS_CLIENT_CERT_PATH: "The path of the client's certificate in PEM format, for mutual TLS.",
  TEMPORAL_TLS_CLIENT_CERT_DATA: "The client's certificate in PEM format, for mutual TLS.",
  TEMPORAL_TLS_CLIENT_KEY_PATH: "The path of the client's private key in PEM format, for mutual TLS.",
  TEMPORAL_TLS_CLIENT_KEY_DATA: "The client's private key in PEM format, for mutual TLS.",
};

/**
 * The variables that can be read from a secret file. The client's private key is missing here, because
 * `TEMPORAL_TLS_CLIENT_KEY_PATH` already names a file.
 */
export const PROFILE_SECRETS = ['TEMPORAL_API_KEY'] as const;

/**
 * Reads the profile like `@temporalio/envconfig`: the file, overridden by the environment. There are three differences.
 * The file is read only if `TEMPORAL_PROFILE` or `TEMPORAL_CONFIG_FILE` is set, because a service must not use the CLI
 * settings of its user. Certificates are checked here and not at the first call. A connection to another machine needs
 * TLS unless TLS is disabled explicitly.
 *
 * @returns the profile, or all problems. Problems contain neither secrets nor lines of the file.
 */
export function readTemporalProfile(env: Environment): TemporalProfile | { problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const add = (name: string, problem: string, example: string) => problems.push({ name, problem, example });

  const file = env.TEMPORAL_CONFIG_FILE;
  if (file !== undefined && !existsSync(file))
    add('TEMPORAL_CONFIG_FILE', 'must be the path of an existing file', 'temporal.toml');
  for (const name of Object.values(PEM_VARIABLES)) {
    if (`${name}_PATH` in env && `${name}_DATA` in env)
      add(`${name}_PATH`, `must not be set together with ${name}_DATA`, `${name.toLowerCase()}.pem`);
  }
  if (env.TEMPORAL_TLS !== undefined && !['true', 'false'].includes(env.TEMPORAL_TLS))
    problems.push({ name: 'TEMPORAL_TLS', problem: 'must be true or false', got: env.TEMPORAL_TLS, example: 'true' });
  if (problems.length) return { problems };

  let profile: ClientConfigProfile;
  try {
    profile = loadClientConfigProfile({
      disableFile: file === undefined && env.TEMPORAL_PROFILE === undefined,
      configFileStrict: true,
      overrideEnvVars: env as Record<string, string>,
    });
  } catch (error) {
    const name = file === undefined ? 'TEMPORAL_PROFILE' : 'TEMPORAL_CONFIG_FILE';
    add(name, describeFileError(error as Error), file === undefined ? 'default' : 'temporal.toml');
    return { problems };
  }

  const { address = '127.0.0.1:7233', namespace = 'default', apiKey, tls } = profile;
  if (!isHostPort(address))
    problems.push({
      name: 'TEMPORAL_ADDRESS',
      problem: 'must be host:port, with a port from 1 to 65535',
      got: address,
      example: '127.0.0.1:7233',
    });
  const isPlainText = tls === undefined ? apiKey === undefined : tls.disabled === true;
  if (isPlainText && !isLoopback(address.replace(/:\d+$/, ''))) {
    if (apiKey !== undefined)
      add('TEMPORAL_TLS', 'must not be false: an API key requires TLS to another machine', 'true');
    else if (tls === undefined)
      add('TEMPORAL_TLS', 'is required for another machine: true, or false for a plain-text connection', 'true');
  }
  if (!isPlainText) problems.push(...validateCertificates(tls ?? {}, env));
  if (problems.length) return { problems };

  const { connectionOptions } = toClientOptions(profile);
  const settings = Object.entries(connectionOptions).filter(([key, value]) => key !== 'address' && value !== undefined);
  return { address, namespace, credentials: Object.fromEntries(settings) };
}

/** Whether the text has the form `host:port`. */
export function isHostPort(text: string): boolean {
  const [, port] = /^(?:[^\s/:]+|\[[0-9a-f:]+\]):(\d{1,5})$/i.exec(text) ?? [];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

/** Describes the credentials in logs, without secrets. */
export function describeCredentials({ tls, apiKey, metadata = {} }: TemporalCredentials): string {
  const isMutual = typeof tls === 'object' && tls?.clientCertPair;
  return [
    tls ? (isMutual ? 'TLS with a client certificate' : 'TLS') : 'plain text',
    ...(apiKey === undefined ? [] : ['an API key']),
    ...Object.keys(metadata).map((name) => `the header ${name}`),
  ].join(', ');
}

/** Reports only the line number, because the parser's message quotes lines of the file, which may contain a key. */
function describeFileError(error: Error & { line?: number; code?: string }): string {
  if (error.line !== undefined) return `the file is not valid TOML: check line ${error.line}`;
  if (error.code !== undefined) return `the file cannot be read (${error.code})`;
  return error.message.replace(/^Validation error: /, '');
}
