import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/errors.js';
import { loadConfig, redactConfig } from '../../src/config/read.js';
import { createCertificateAuthority, type Certificate } from '../support/temporal/certificates.js';

const SECRET = 'a-secret-that-nobody-may-see';

describe('the connection settings for Temporal', () => {
  let folder: string;
  let one: Certificate;
  let other: Certificate;
  let file: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'profile-'));
    one = await createCertificateAuthority(folder, 'one');
    other = await createCertificateAuthority(folder, 'other');
    file = join(folder, 'temporal.toml');
    await writeFile(
      file,
      `[profile.default]
      address = "temporal.example.com:7233"
      namespace = "shop.a1b2c"
      api_key = "${SECRET}"
      [profile.here]
      address = "127.0.0.1:7777"
      [profile.plain]
      address = "temporal.example.com:7233"
      tls = { disabled = true }`,
    );
    await writeFile(join(folder, 'odd.toml'), `[profile.default]\nadress = "127.0.0.1:7777"`);
    await writeFile(join(folder, 'broken.toml'), `[profile.default]\napi_key = "${SECRET}\n`);
    await writeFile(join(folder, 'key'), `${SECRET}\n`);
    await writeFile(join(folder, 'empty'), '\n');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  type Environment = Partial<Record<string, string>>;
  const load = (env: Environment) => loadConfig('replay', env as NodeJS.ProcessEnv);

  test('the connection defaults to localhost without TLS', () => {
    expect(load({})).toEqual({
      TEMPORAL_ADDRESS: '127.0.0.1:7233',
      TEMPORAL_NAMESPACE: 'default',
      TEMPORAL_CREDENTIALS: {},
    });
  });

  test('the profile in the configured file applies, and environment variables override the profile', () => {
    expect(load({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_NAMESPACE: 'other' })).toEqual({
      TEMPORAL_ADDRESS: 'temporal.example.com:7233',
      TEMPORAL_NAMESPACE: 'other',
      TEMPORAL_CREDENTIALS: { apiKey: SECRET, tls: true },
    });
    expect(load({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'here' })).toMatchObject({
      TEMPORAL_ADDRESS: '127.0.0.1:7777',
      TEMPORAL_CREDENTIALS: {},
    });
  });

  test('the configuration file in the home directory is ignored unless a profile is set', async () => {
    const home = join(folder, 'home');
    await mkdir(join(home, 'temporalio'), { recursive: true });
    await copyFile(file, join(home, 'temporalio', 'temporal.toml'));
    expect(load({ XDG_CONFIG_HOME: home })).toMatchObject({ TEMPORAL_ADDRESS: '127.0.0.1:7233' });
    if (process.platform === 'linux')
      expect(load({ XDG_CONFIG_HOME: home, TEMPORAL_PROFILE: 'here' })).toMatchObject({
        TEMPORAL_ADDRESS: '127.0.0.1:7777',
      });
  });

  test('an API key from a file turns on TLS', () => {
    const config = load({ TEMPORAL_ADDRESS: 'eu.example.com:7233', TEMPORAL_API_KEY_FILE: join(folder, 'key') });
    expect(config.TEMPORAL_CREDENTIALS).toEqual({ apiKey: SECRET, tls: true });
    expect(redactConfig(config)).toMatchObject({ TEMPORAL_CREDENTIALS: 'TLS, an API key' });
  });

  test('a connection to another machine without TLS is allowed only if TLS is disabled explicitly', () => {
    const env = { TEMPORAL_ADDRESS: 'temporal:7233' };
    expect(() => load(env)).toThrow('TEMPORAL_TLS: is required for another machine: true, or false');
    expect(load({ ...env, TEMPORAL_TLS: 'false' }).TEMPORAL_CREDENTIALS).toEqual({ tls: false });
    expect(load({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'plain' }).TEMPORAL_CREDENTIALS).toEqual({
      tls: false,
    });
    expect(load({ ...env, TEMPORAL_TLS: 'true' }).TEMPORAL_CREDENTIALS.tls).toEqual({});
    for (const loopback of ['localhost:1', '127.0.0.1:1', '127.1.2.3:1', '[::1]:1'])
      expect(load({ TEMPORAL_ADDRESS: loopback }).TEMPORAL_CREDENTIALS).toEqual({});
    for (const other of ['localhost.example.com:1', '10.0.0.1:1', '[::2]:1', '127.0.0.1.example.com:1'])
      expect(() => load({ TEMPORAL_ADDRESS: other })).toThrow('TEMPORAL_TLS');
  });

  test.each<[string, () => Environment, RegExp]>([
    ['an address is invalid', () => ({ TEMPORAL_ADDRESS: 'temporal' }), /TEMPORAL_ADDRESS: must be host:port/],
    ['TEMPORAL_TLS is not a boolean', () => ({ TEMPORAL_TLS: 'yes' }), /TEMPORAL_TLS: must be true or false/],
    [
      'the configuration file does not exist',
      () => ({ TEMPORAL_CONFIG_FILE: '/nowhere' }),
      /TEMPORAL_CONFIG_FILE: must be the path of an existing file/,
    ],
    [
      'the profile does not exist',
      () => ({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'none' }),
      /TEMPORAL_CONFIG_FILE: Profile 'none' not found/,
    ],
    [
      'a key of the file is unknown',
      () => ({ TEMPORAL_CONFIG_FILE: join(folder, 'odd.toml') }),
      /TEMPORAL_CONFIG_FILE: key\(s\) unrecognized in profile.default: adress/,
    ],
    [
      'the file is not valid TOML',
      () => ({ TEMPORAL_CONFIG_FILE: join(folder, 'broken.toml') }),
      /TEMPORAL_CONFIG_FILE: the file is not valid TOML: check line 2/,
    ],
    [
      'an API key would be sent in plain text',
      () => ({ TEMPORAL_ADDRESS: 'temporal:7233', TEMPORAL_TLS: 'false', TEMPORAL_API_KEY: SECRET }),
      /TEMPORAL_TLS: must not be false: an API key requires TLS to another machine/,
    ],
    [
      'an API key is set in two ways',
      () => ({ TEMPORAL_API_KEY: SECRET, TEMPORAL_API_KEY_FILE: join(folder, 'key') }),
      /TEMPORAL_API_KEY_FILE: must not be set together with TEMPORAL_API_KEY/,
    ],
    [
      'the file of a secret does not exist',
      () => ({ TEMPORAL_API_KEY_FILE: join(folder, 'none') }),
      /TEMPORAL_API_KEY_FILE: cannot be read \(ENOENT\)/,
    ],
    [
      'the file of a secret is empty',
      () => ({ TEMPORAL_API_KEY_FILE: join(folder, 'empty') }),
      /TEMPORAL_API_KEY_FILE: names an empty file/,
    ],
    [
      'the file of a certificate does not exist',
      () => ({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/nowhere' }),
      /TEMPORAL_TLS_SERVER_CA_CERT_PATH: cannot be read \(ENOENT\)/,
    ],
    [
      'a certificate is invalid',
      () => ({ TEMPORAL_TLS_SERVER_CA_CERT_DATA: SECRET }),
      /TEMPORAL_TLS_SERVER_CA_CERT_DATA: must be a certificate in PEM/,
    ],
    [
      'a certificate is set in two ways',
      () => ({ TEMPORAL_TLS_SERVER_CA_CERT_DATA: one.cert, TEMPORAL_TLS_SERVER_CA_CERT_PATH: one.certFile }),
      /TEMPORAL_TLS_SERVER_CA_CERT_PATH: must not be set together with TEMPORAL_TLS_SERVER_CA_CERT_DATA/,
    ],
    [
      'a client certificate has no key',
      () => ({ TEMPORAL_TLS_CLIENT_CERT_PATH: one.certFile }),
      /TEMPORAL_TLS_CLIENT_KEY_PATH: is required with a client certificate/,
    ],
    [
      'a client key has no certificate',
      () => ({ TEMPORAL_TLS_CLIENT_KEY_PATH: one.keyFile }),
      /TEMPORAL_TLS_CLIENT_CERT_PATH: is required with a client key/,
    ],
    [
      'a key belongs to another certificate',
      () => ({ TEMPORAL_TLS_CLIENT_CERT_PATH: one.certFile, TEMPORAL_TLS_CLIENT_KEY_PATH: other.keyFile }),
      /TEMPORAL_TLS_CLIENT_KEY_PATH: must be the key of the client certificate/,
    ],
  ])('loadConfig fails with an example and without secrets if %s', (_, env, problem) => {
    const error = (() => {
      try {
        return load(env());
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(problem);
    expect((error as Error).message).toContain('(example: ');
    expect((error as Error).message).not.toContain(SECRET);
  });
});
