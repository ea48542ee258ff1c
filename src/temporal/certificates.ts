import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { loadConfigData, type ClientConfigProfile, type ConfigDataSource } from '@temporalio/envconfig';
import type { ConfigProblem } from '../config/errors.js';

/** Environment variables. Empty variables are absent. */
export type Environment = Partial<Record<string, string>>;

/** TLS settings. Each can be a value (`…_DATA`) or the path of a file (`…_PATH`). */
export const PEM_VARIABLES = {
  serverCACert: 'TEMPORAL_TLS_SERVER_CA_CERT',
  clientCert: 'TEMPORAL_TLS_CLIENT_CERT',
  clientKey: 'TEMPORAL_TLS_CLIENT_KEY',
} as const;

type TlsSettings = NonNullable<ClientConfigProfile['tls']>;

/** Reads the certificates and the private key of a profile. Returns a problem for each one that is unusable. */
export function validateCertificates(tls: TlsSettings, env: Environment): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const read = <T>(part: keyof typeof PEM_VARIABLES, what: string, parse: (pem: Buffer) => T): T | undefined => {
    const source = tls[part];
    if (!source) return undefined;
    const variable = `${PEM_VARIABLES[part]}_${'path' in source ? 'PATH' : 'DATA'}`;
    const name = variable in env ? variable : `${variable} (of the profile)`;
    const addProblem = (problem: string) => {
      problems.push({ name, problem, example: pemExample(source) });
      return undefined;
    };
    let pem: Buffer;
    try {
      pem = Buffer.from(loadConfigData(source)!);
    } catch (error) {
      return addProblem(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
    try {
      return parse(pem);
    } catch {
      return addProblem(`must be ${what} in PEM`);
    }
  };
  const addPairProblem = (part: 'clientCert' | 'clientKey', problem: string, example: string) =>
    problems.push({ name: `${PEM_VARIABLES[part]}_PATH`, problem, example });

  read('serverCACert', 'a certificate', (pem) => new X509Certificate(pem));
  const certificate = read('clientCert', 'a certificate', (pem) => new X509Certificate(pem));
  const key = read<KeyObject>('clientKey', 'a private key without a passphrase', (pem) => createPrivateKey(pem));
  if (tls.clientKey && !tls.clientCert) addPairProblem('clientCert', 'is required with a client key', 'client.pem');
  if (tls.clientCert && !tls.clientKey)
    addPairProblem('clientKey', 'is required with a client certificate', 'client.pem');
  if (certificate && key && !certificate.checkPrivateKey(key))
    addPairProblem('clientKey', 'must be the key of the client certificate', 'client.key');
  return problems;
}

function pemExample(source: ConfigDataSource): string {
  return 'path' in source ? '/etc/temporal/tls.pem' : '$(cat tls.pem)';
}
