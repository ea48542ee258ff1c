import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  loadClientConfigProfile,
  loadConfigData,
  toClientOptions,
  type ClientConfigProfile,
  type ConfigDataSource,
} from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { isLoopback } from '../http-client/loopback.js';

/** TLS, API key and gRPC metadata, for a client's connection and a worker's; empty for a server that asks for none. */
export type TemporalCredentials = Pick<NativeConnectionOptions, 'tls' | 'apiKey' | 'metadata'>;

/** How Temporal is reached. */
export interface TemporalProfile {
  address: string;
  namespace: string;
  credentials: TemporalCredentials;
}

/** What is given and cannot be used: the variable that says so, what is wrong, a value that would do. */
export interface ProfileProblem {
  name: string;
  problem: string;
  got?: string | undefined;
  example: string;
}

/** What is given by value or by the path of a file. */
const PEMS = {
  serverCACert: 'TEMPORAL_TLS_SERVER_CA_CERT',
  clientCert: 'TEMPORAL_TLS_CLIENT_CERT',
  clientKey: 'TEMPORAL_TLS_CLIENT_KEY',
} as const;

/** What the profile is made of, by the names of all of Temporal's SDKs and of its CLI; and `TEMPORAL_GRPC_META_…`. */
export const PROFILE_VARIABLES = [
  'TEMPORAL_ADDRESS',
  'TEMPORAL_NAMESPACE',
  'TEMPORAL_PROFILE',
  'TEMPORAL_CONFIG_FILE',
  'TEMPORAL_API_KEY',
  'TEMPORAL_TLS',
  'TEMPORAL_TLS_SERVER_NAME',
  ...Object.values(PEMS).flatMap((name) => [`${name}_PATH`, `${name}_DATA`] as const),
] as const;

/** A key of a client can be in a file without more: `TEMPORAL_TLS_CLIENT_KEY_PATH`. */
export const PROFILE_SECRETS = ['TEMPORAL_API_KEY'] as const;

/** Variables without empty ones. */
export type Environment = Partial<Record<string, string>>;

/**
 * Reads the profile as `@temporalio/envconfig` does: what the file has, and what the environment says over it. Different
 * from there the file is read only when `TEMPORAL_PROFILE` or `TEMPORAL_CONFIG_FILE` asks for it (a service does not take
 * up what its user keeps for the CLI), certificates are tried here instead of with the first call, and nothing goes to
 * another machine in plain text unless TLS is turned off in so many words.
 *
 * @returns the profile, or all that is wrong with it. No problem repeats a secret or a line of the file.
 */
export function readTemporalProfile(env: Environment): TemporalProfile | { problems: ProfileProblem[] } {
  const problems: ProfileProblem[] = [];
  const add = (name: string, problem: string, example: string) => problems.push({ name, problem, example });

  const file = env.TEMPORAL_CONFIG_FILE;
  if (file !== undefined && !existsSync(file)) add('TEMPORAL_CONFIG_FILE', 'there is no such file', 'temporal.toml');
  for (const name of Object.values(PEMS)) {
    if (`${name}_PATH` in env && `${name}_DATA` in env)
      add(`${name}_PATH`, `is one way, ${name}_DATA the other`, `${name.toLowerCase()}.pem`);
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
    add(name, problemOfFile(error as Error), file === undefined ? 'default' : 'temporal.toml');
    return { problems };
  }

  const { address = '127.0.0.1:7233', namespace = 'default', apiKey, tls } = profile;
  if (!isAddress(address))
    problems.push({
      name: 'TEMPORAL_ADDRESS',
      problem: 'must be host:port, with a port from 1 to 65535',
      got: address,
      example: '127.0.0.1:7233',
    });
  const plain = tls === undefined ? apiKey === undefined : tls.disabled === true;
  if (plain && !isLoopback(address.replace(/:\d+$/, ''))) {
    if (apiKey !== undefined) add('TEMPORAL_TLS', 'an API key goes to another machine with TLS only', 'true');
    else if (tls === undefined)
      add('TEMPORAL_TLS', 'is needed for another machine: true, or false to talk to it in plain text', 'true');
  }
  if (!plain) problems.push(...problemsOfPems(tls ?? {}, env));
  if (problems.length) return { problems };

  const { connectionOptions } = toClientOptions(profile);
  const given = Object.entries(connectionOptions).filter(([key, value]) => key !== 'address' && value !== undefined);
  return { address, namespace, credentials: Object.fromEntries(given) };
}

/** `host:port`. */
export function isAddress(text: string): boolean {
  const [, port] = /^(?:[^\s/:]+|\[[0-9a-f:]+\]):(\d{1,5})$/i.exec(text) ?? [];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

/** The credentials as they may be printed. */
export function describeCredentials({ tls, apiKey, metadata = {} }: TemporalCredentials): string {
  const mutual = typeof tls === 'object' && tls?.clientCertPair;
  return [
    tls ? (mutual ? 'TLS with a certificate of the client' : 'TLS') : 'plain text',
    ...(apiKey === undefined ? [] : ['an API key']),
    ...Object.keys(metadata).map((name) => `the header ${name}`),
  ].join(', ');
}

/** The parser of the file shows the lines around its error, and those may hold a key. */
function problemOfFile(error: Error & { line?: number; code?: string }): string {
  if (error.line !== undefined) return `the file is no TOML, look at its line ${error.line}`;
  if (error.code !== undefined) return `the file cannot be read (${error.code})`;
  return error.message.replace(/^Validation error: /, '');
}

function problemsOfPems(tls: NonNullable<ClientConfigProfile['tls']>, env: Environment): ProfileProblem[] {
  const problems: ProfileProblem[] = [];
  const read = <T>(part: keyof typeof PEMS, what: string, parse: (pem: Buffer) => T): T | undefined => {
    const source = tls[part];
    if (!source) return undefined;
    const name = `${PEMS[part]}_${'path' in source ? 'PATH' : 'DATA'}`;
    const problem = (text: string) => {
      problems.push({
        name: name in env ? name : `${name} (of the profile)`,
        problem: text,
        example: exampleOf(source),
      });
      return undefined;
    };
    let pem: Buffer;
    try {
      pem = Buffer.from(loadConfigData(source)!);
    } catch (error) {
      return problem(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
    try {
      return parse(pem);
    } catch {
      return problem(`must be ${what} in PEM`);
    }
  };
  read('serverCACert', 'a certificate', (pem) => new X509Certificate(pem));
  const certificate = read('clientCert', 'a certificate', (pem) => new X509Certificate(pem));
  const key = read<KeyObject>('clientKey', 'a private key without a passphrase', (pem) => createPrivateKey(pem));
  const pair = (missing: 'clientCert' | 'clientKey', there: string) =>
    problems.push({ name: `${PEMS[missing]}_PATH`, problem: `is needed with ${there}`, example: 'client.pem' });
  if (tls.clientKey && !tls.clientCert) pair('clientCert', 'the key of the client');
  if (tls.clientCert && !tls.clientKey) pair('clientKey', 'the certificate of the client');
  if (certificate && key && !certificate.checkPrivateKey(key))
    problems.push({
      name: `${PEMS.clientKey}_PATH`,
      problem: 'is not the key of the certificate of the client',
      example: 'client.key',
    });
  return problems;
}

function exampleOf(source: ConfigDataSource): string {
  return 'path' in source ? '/etc/temporal/tls.pem' : '$(cat tls.pem)';
}
