import { describe, expect, test } from 'vitest';
import { generateEncryptionKey } from '../support/temporal/encryption.js';
import { ConfigError } from '../../src/config/errors.js';
import { loadConfig, readConfig, redactConfig } from '../../src/config/read.js';
import { TASK_QUEUES } from '../../src/temporal/task-queues.js';

const sameKey = Buffer.alloc(32).toString('base64');
const secret = `whsec_${'c2VjcmV0'.repeat(5)}`;
const env = {
  DATABASE_URL: 'postgres://shop:password@127.0.0.1/shop',
  PAYMENTS_URL: 'https://payments.example.com/',
  CARRIER_URL: 'https://carrier.example.com',
  SMTP_URL: 'smtps://user:password@mail.example.com',
  MAIL_FROM: 'The shop <no-reply@example.com>',
  PUBLIC_URL: 'https://shop.example.com/',
  APPROVAL_LINK_SECRET: 'a'.repeat(32),
  OUTGOING_WEBHOOK_SECRET: secret,
};
const stages = [{ approvers: [{ id: 'lead', email: 'lead@example.com' }], timeoutSeconds: 60 }];

describe('loadConfig', () => {
  test('uses the default value of every optional setting that is not set', () => {
    expect(loadConfig('worker', env)).toMatchObject({
      PUBLIC_URL: 'https://shop.example.com',
      APPROVAL_LINK_SECRET: ['a'.repeat(32)],
      OUTGOING_WEBHOOK_SECRET: [secret],
      OUTGOING_ALLOWED_HOSTS: [],
      OUTGOING_ALLOW_PRIVATE: false,
      DATABASE_POOL_SIZE: 10,
      BATCH_MAX_CONCURRENT_CHUNKS: 4,
      WORKER_TASK_QUEUES: [...TASK_QUEUES],
      WORKER_TUNER: 'fixed',
      IDEMPOTENCY_KEY_RETENTION_HOURS: 24,
      NOTIFICATION_RETENTION_DAYS: 90,
      BATCH_ITEM_RETENTION_DAYS: 90,
      METRICS_HOST: '127.0.0.1',
    });
    expect(loadConfig('worker', env).METRICS_PORT).toBeUndefined();
    expect(loadConfig('worker', env).PAYMENTS_PER_SECOND).toBeUndefined();
    expect(loadConfig('worker', env).ORDER_APPROVAL_THRESHOLD).toBeUndefined();
  });

  test('reads two webhook secrets and keeps their order, so that the new secret is first', () => {
    const other = `whsec_${'b3RoZXIw'.repeat(5)}`;
    expect(loadConfig('worker', { ...env, OUTGOING_WEBHOOK_SECRET: `${other}, ${secret}` })).toMatchObject({
      OUTGOING_WEBHOOK_SECRET: [other, secret],
    });
  });

  test('requires no URL of the payment gateway for Stripe, and hides the key', () => {
    const { PAYMENTS_URL: _, ...others } = env;
    const config = loadConfig('worker', { ...others, PAYMENTS: 'stripe', STRIPE_SECRET_KEY: 'sk_test_51hidden' });

    expect(config).toMatchObject({ PAYMENTS: 'stripe', STRIPE_SECRET_KEY: 'sk_test_51hidden' });
    expect(JSON.stringify(redactConfig(config))).not.toContain('51hidden');
    expect(loadConfig('worker', env).PAYMENTS).toBe('plain');
  });

  test.each(['sk_live_51hidden', 'rk_live_51hidden'])('rejects a URL without TLS for the live key %s', (key) => {
    const stripe = { ...env, PAYMENTS: 'stripe', STRIPE_SECRET_KEY: key };
    const load = (url: string) => loadConfig('worker', { ...stripe, STRIPE_API_URL: url });

    expect(() => load('http://127.0.0.1:3001')).toThrow(
      'STRIPE_API_URL: must be an https URL, because STRIPE_SECRET_KEY is a live key',
    );
    expect(() => load('http://127.0.0.1:3001')).not.toThrow('51hidden');
    expect(load('https://proxy.example.com').STRIPE_API_URL).toBe('https://proxy.example.com');
  });

  test('accepts a URL without TLS for a test key', () => {
    const stripe = { PAYMENTS: 'stripe', STRIPE_SECRET_KEY: 'sk_test_1', STRIPE_API_URL: 'http://127.0.0.1:3001/' };
    expect(loadConfig('worker', { ...env, ...stripe }).STRIPE_API_URL).toBe('http://127.0.0.1:3001');
  });

  test('reads the task queues of a worker without duplicates', () => {
    expect(
      loadConfig('worker', { ...env, WORKER_TASK_QUEUES: 'payments, orders,payments' }).WORKER_TASK_QUEUES,
    ).toEqual(['orders', 'payments']);
  });

  test('accepts a worker build id that contains dots', () => {
    const version = { TEMPORAL_DEPLOYMENT_NAME: 'shop', TEMPORAL_WORKER_BUILD_ID: '1.2.0+a1b2c3' };
    expect(loadConfig('worker', { ...env, ...version })).toMatchObject(version);
  });

  test('reports only the invalid value when one of two connected settings is invalid', () => {
    const load = () =>
      loadConfig('worker', { ...env, TEMPORAL_DEPLOYMENT_NAME: 'sh.op', TEMPORAL_WORKER_BUILD_ID: '2' });
    expect(load).toThrow('TEMPORAL_DEPLOYMENT_NAME: must be');
    expect(load).not.toThrow('must be set together with');
  });

  describe('Slack', () => {
    const slack = {
      SLACK_BOT_TOKEN: 'xoxb-1-abc',
      SLACK_SIGNING_SECRET: 's'.repeat(32),
      SLACK_APPROVERS: '{"U012AB3CD":"grace"}',
    };
    const apiEnv = {
      ...env,
      CARRIER_WEBHOOK_SECRET: secret,
      APPROVAL_WEBHOOK_SECRET: secret,
      CURSOR_SECRET: 'c'.repeat(32),
    };

    test('is off by default', () => {
      const config = loadConfig('api', apiEnv);
      expect(config.SLACK_BOT_TOKEN).toBeUndefined();
      expect(config.SLACK_API_URL).toBe('https://slack.com/api');
    });

    test('a worker needs no signing secret', () => {
      const { SLACK_SIGNING_SECRET: _apiOnly, ...ofWorker } = slack;
      expect(loadConfig('worker', { ...env, ...ofWorker })).toMatchObject({
        SLACK_BOT_TOKEN: 'xoxb-1-abc',
        SLACK_APPROVERS: { U012AB3CD: 'grace' },
      });
    });

    test.each(Object.keys(slack))('an API without %s does not start', (name) => {
      const load = () => loadConfig('api', { ...apiEnv, ...slack, [name]: undefined });
      expect(load).toThrow(new RegExp(`${name}: must be set together with SLACK_`));
    });

    test.each([
      ['SLACK_BOT_TOKEN', 'xoxp-1', 'must be a bot token'],
      ['SLACK_SIGNING_SECRET', 'short', 'must be at least 32 characters'],
      ['SLACK_APPROVERS', '{', 'must be valid JSON'],
      ['SLACK_APPROVERS', '{}', 'must contain a Slack user'],
      ['SLACK_APPROVERS', '{"grace":"U1"}', 'must have ids of Slack users'],
      ['SLACK_APPROVERS', '{"U1A":"grace","U2B":"grace"}', 'must not contain an approver twice'],
      ['SLACK_API_URL', 'slack.com', 'must be an http or https URL'],
    ])('rejects %s=%s', (name, value, problem) => {
      expect(() => loadConfig('api', { ...apiEnv, ...slack, [name]: value })).toThrow(problem);
    });
  });

  test('reads the approval stages from JSON', () => {
    const ORDER_APPROVAL_STAGES = JSON.stringify(stages);
    expect(loadConfig('worker', { ...env, ORDER_APPROVAL_THRESHOLD: '100000', ORDER_APPROVAL_STAGES })).toMatchObject({
      ORDER_APPROVAL_THRESHOLD: 100_000,
      ORDER_APPROVAL_STAGES: stages,
    });
  });

  test.each([
    ['DATABASE_URL', undefined, 'is not set'],
    ['PAYLOAD_ENCRYPTION_KEYS', 'a', 'must be <id>:<key> with commas between them'],
    ['PAYLOAD_ENCRYPTION_KEYS', `a:${'A'.repeat(42)}==`, 'a key of 32 bytes in base64'],
    ['PAYLOAD_ENCRYPTION_KEYS', `${generateEncryptionKey('a b')}`, 'must be <id>:<key>'],
    ['PAYLOAD_ENCRYPTION_KEYS', `${generateEncryptionKey('a')},`, 'must be <id>:<key>'],
    ['PAYLOAD_ENCRYPTION_KEYS', `${generateEncryptionKey('a')},${generateEncryptionKey('a')}`, 'names a key twice'],
    ['PAYLOAD_ENCRYPTION_KEYS', `a:${sameKey},b:${sameKey}`, 'has the same key under two ids'],
    ['DATABASE_POOL_SIZE', '0', 'must be an integer from 1 to 1000'],
    ['BATCH_MAX_CONCURRENT_CHUNKS', '0', 'must be an integer from 1 to 1000'],
    [
      'WORKER_TASK_QUEUES',
      'orders,order',
      'must be a comma-separated list of orders, payments, carts, approvals, batches, housekeeping',
    ],
    ['WORKER_TASK_QUEUES', ',', 'must be a comma-separated list of orders, payments'],
    ['IDEMPOTENCY_KEY_RETENTION_HOURS', '0', 'must be an integer from 1 to 8760'],
    ['NOTIFICATION_RETENTION_DAYS', '0', 'must be an integer from 1 to 36500'],
    ['BATCH_ITEM_RETENTION_DAYS', 'never', 'must be an integer from 1 to 36500'],
    ['ORDER_RETENTION_DAYS', '0', 'must be an integer from 1 to 36500'],
    ['PAYMENTS', 'paypal', 'must be plain or stripe'],
    ['PAYMENTS', 'stripe', 'STRIPE_SECRET_KEY: must be set together with PAYMENTS=stripe'],
    ['PAYMENTS_URL', '', 'is not set'],
    ['CARRIER', 'dhl', 'CARRIER: must be plain, got "dhl" (example: CARRIER=plain)'],
    ['STRIPE_SECRET_KEY', 'pk_test_1', 'must be a secret key (sk_…) or a restricted key (rk_…) of Stripe'],
    ['STRIPE_SECRET_KEY', 'sk_test_1', 'has no effect without PAYMENTS=stripe'],
    ['STRIPE_API_URL', 'http://127.0.0.1:3001', 'has no effect without PAYMENTS=stripe'],
    ['STRIPE_API_URL', 'https://proxy.example.com/stripe', 'must have no path'],
    ['WORKER_TUNER', 'automatic', 'must be fixed or resource-based'],
    ['WORKER_TARGET_MEMORY', '80', 'must be a number from 0.1 to 1'],
    ['WORKER_TARGET_CPU', '0', 'must be a number from 0.1 to 1'],
    ['WORKER_MAX_CONCURRENT_ACTIVITIES', '0', 'must be an integer from 1 to 10000'],
    ['WORKER_MAX_CONCURRENT_WORKFLOW_TASKS', '1', 'must be an integer from 2 to 10000'],
    ['WORKER_MAX_CACHED_WORKFLOWS', '1', 'must be an integer from 2 to 1000000'],
    ['WORKER_TARGET_CPU', '0.5', 'has no effect without WORKER_TUNER=resource-based'],
    ['PAYMENTS_PER_SECOND', '0', 'must be a number from 0.001 to 100000'],
    ['METRICS_PORT', '0', 'must be an integer from 1 to 65535'],
    ['METRICS_PORT', 'metrics', 'must be an integer from 1 to 65535'],
    [
      'TEMPORAL_DEPLOYMENT_NAME',
      'shop',
      'TEMPORAL_WORKER_BUILD_ID: must be set together with TEMPORAL_DEPLOYMENT_NAME',
    ],
    ['TEMPORAL_DEPLOYMENT_NAME', 'shop.eu', 'must be at most 200 characters without spaces, dots or colons'],
    ['TEMPORAL_WORKER_BUILD_ID', '__1', 'must be at most 200 characters without spaces'],
    ['PUBLIC_URL', 'shop', 'must be an http or https URL'],
    ['SMTP_URL', 'http://mail', 'must be an smtp or smtps URL'],
    ['MAIL_FROM', 'somebody', 'must be an e-mail address'],
    ['APPROVAL_LINK_SECRET', 'short', 'must be at least 32 characters'],
    ['APPROVAL_LINK_SECRET', '', 'is not set'],
    ['OUTGOING_WEBHOOK_SECRET', 'whsec_short', 'must be whsec_'],
    ['OUTGOING_WEBHOOK_SECRET', `${secret},${secret},${secret}`, 'must be one secret, or two'],
    ['OUTGOING_ALLOWED_HOSTS', 'https://example.com', 'must be a comma-separated list of hosts'],
    ['OUTGOING_ALLOW_PRIVATE', 'yes', 'must be true or false'],
    ['ORDER_APPROVAL_THRESHOLD', '100000', 'ORDER_APPROVAL_STAGES: must be set together with ORDER_APPROVAL_THRESHOLD'],
    ['APPROVAL_NAMESPACE', '1st', 'must be 2 to 200 letters, digits, dots and dashes'],
    ['APPROVAL_NAMESPACE', 'default', 'must differ from TEMPORAL_NAMESPACE'],
    ['TEMPORAL_CORE_LOG_LEVEL', 'debug', 'must be info, warn or error'],
    ['OTEL_SDK_DISABLED', '1', 'must be true or false'],
    ['OTEL_TRACES_EXPORTER', 'jaeger', 'must be otlp, console or none'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', '127.0.0.1:4318', 'must be an http or https URL'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'https://me:secret@example.com/v1/traces', 'use OTEL_EXPORTER_OTLP_HEADERS'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc', 'must be http/json'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'api-key', 'must be a comma-separated list of name=value pairs'],
    ['OTEL_TRACES_SAMPLER', 'sometimes', 'must be one of parentbased_always_on'],
    ['OTEL_TRACES_SAMPLER_ARG', '10', 'must be a number from 0 to 1'],
    ['ORDER_APPROVAL_STAGES', '{', 'must be valid JSON'],
    ['ORDER_APPROVAL_STAGES', '[{"approvers":[],"timeoutSeconds":1}]', '/0/approvers'],
  ])('rejects %s=%j with the name, the problem and an example', (name, value, problem) => {
    const load = () => loadConfig('worker', { ...env, [name]: value });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(problem);
    expect(load).toThrow(new RegExp(`${name}.*example: |together with ${name}`));
  });

  test('rejects a retention of orders that is shorter than that of the stored responses', () => {
    const load = (days: string) =>
      loadConfig('worker', { ...env, IDEMPOTENCY_KEY_RETENTION_HOURS: '49', ORDER_RETENTION_DAYS: days });
    expect(() => load('2')).toThrow(
      'ORDER_RETENTION_DAYS: must be at least IDEMPOTENCY_KEY_RETENTION_HOURS (49 hours)',
    );
    expect(load('3').ORDER_RETENTION_DAYS).toBe(3);
    expect(loadConfig('worker', env).ORDER_RETENTION_DAYS).toBeUndefined();
  });

  test('reads encryption keys and keeps their order, so that the key for new data is first', () => {
    const keys = loadConfig('worker', {
      ...env,
      PAYLOAD_ENCRYPTION_KEYS: `${generateEncryptionKey('b')}, ${generateEncryptionKey('a')}`,
    });
    expect(keys.PAYLOAD_ENCRYPTION_KEYS?.map(({ id }) => id)).toEqual(['b', 'a']);
    expect(keys.PAYLOAD_ENCRYPTION_KEYS?.map(({ key }) => key.symmetricKeySize)).toEqual([32, 32]);
    expect(JSON.stringify(redactConfig(keys))).toContain('"PAYLOAD_ENCRYPTION_KEYS":"(set)"');
    expect(loadConfig('worker', env).PAYLOAD_ENCRYPTION_KEYS).toBeUndefined();
  });

  test('omits an invalid encryption key from the error', () => {
    const wrong = generateEncryptionKey('a').slice(0, -4);
    const load = () => loadConfig('worker', { ...env, PAYLOAD_ENCRYPTION_KEYS: wrong });
    expect(load).toThrow(expect.not.stringContaining(wrong.slice(2, 20)) as never);
  });

  test("redactConfig removes secrets and personal data from the worker's configuration", () => {
    const ORDER_APPROVAL_STAGES = JSON.stringify(stages);
    const config = loadConfig('worker', { ...env, ORDER_APPROVAL_THRESHOLD: '1', ORDER_APPROVAL_STAGES });
    const printed = JSON.stringify(redactConfig(config));
    for (const hidden of ['password', secret, 'a'.repeat(32), 'lead@example.com'])
      expect(printed).not.toContain(hidden);
    expect(printed).toContain('shop.example.com');
  });
});

describe('the configuration of the setup', () => {
  const load = (more: NodeJS.ProcessEnv = {}) => loadConfig('setup', { DATABASE_URL: env.DATABASE_URL, ...more });

  test('reads the retention of the namespace, which has no default', () => {
    expect(load().TEMPORAL_RETENTION_DAYS).toBeUndefined();
    expect(load({ TEMPORAL_RETENTION_DAYS: '30' }).TEMPORAL_RETENTION_DAYS).toBe(30);
    expect(() => load({ TEMPORAL_RETENTION_DAYS: '0' })).toThrow('must be an integer from 1 to 36500');
  });
});

describe('the configuration of the API', () => {
  const hash = 'a'.repeat(64);
  const key = { id: 'ada', roles: ['shopper'], hashes: [hash] };
  const api = {
    DATABASE_URL: env.DATABASE_URL,
    CARRIER_WEBHOOK_SECRET: secret,
    APPROVAL_WEBHOOK_SECRET: secret,
    APPROVAL_LINK_SECRET: env.APPROVAL_LINK_SECRET,
    CURSOR_SECRET: 'c'.repeat(32),
  };
  const jwt = {
    JWT_ISSUER: 'https://login.example.com/',
    JWT_AUDIENCE: 'https://shop.example.com',
    JWT_JWKS_URL: 'https://login.example.com/jwks.json',
  };
  const API_KEYS = JSON.stringify([key]);
  const load = (more: NodeJS.ProcessEnv = {}) => loadConfig('api', { ...api, ...more });

  test('reads the webhook secrets of Stripe, one or two', () => {
    expect(
      load({ STRIPE_WEBHOOK_SECRET: 'whsec_51aB_first00000001,whsec_51aB_second0000002' }).STRIPE_WEBHOOK_SECRET,
    ).toEqual(['whsec_51aB_first00000001', 'whsec_51aB_second0000002']);
  });

  test.each(['whsec_short', 'sk_test_0123456789012345', 'whsec_with-a-hyphen0000'])(
    'rejects %s as a webhook secret of Stripe',
    (STRIPE_WEBHOOK_SECRET) => {
      expect(() => load({ STRIPE_WEBHOOK_SECRET })).toThrow('STRIPE_WEBHOOK_SECRET: must be whsec_ followed by');
    },
  );

  test('listens on loopback by default and requires no API keys there', () => {
    expect(load()).toMatchObject({
      HOST: '127.0.0.1',
      CORS_ORIGINS: [],
      HSTS_MAX_AGE: 0,
      RATE_LIMIT_PER_MINUTE: 6_000,
      MAX_EVENT_LOOP_DELAY_MS: 1_000,
      IDEMPOTENCY_KEY_RETENTION_HOURS: 24,
      JWT_ID_CLAIM: 'sub',
      JWT_ROLES_CLAIM: 'roles',
    });
    expect(load().API_KEYS).toBeUndefined();
  });

  test('reads the titles and URLs of links', () => {
    const links = 'Break it=http://127.0.0.1:3001/break-it, Search=https://search.example.com/?a=b';
    expect(load({ CONSOLE_LINKS: links }).CONSOLE_LINKS).toEqual([
      { title: 'Break it', url: 'http://127.0.0.1:3001/break-it' },
      { title: 'Search', url: 'https://search.example.com/?a=b' },
    ]);
    expect(load().CONSOLE_LINKS).toEqual([]);
  });

  test.each([
    ['TEMPORAL_UI_URL', 'temporal', 'must be an http or https URL'],
    ['TRACE_URL', 'https://traces.example.com/', 'must be an http or https URL that contains {workflowId}'],
    ['LOGS_URL', 'javascript:{workflowId}', 'must be an http or https URL that contains {workflowId}'],
    ['CONSOLE_LINKS', 'Mailbox', 'must be a comma-separated list of Title=URL'],
    ['CONSOLE_LINKS', 'Mailbox=javascript:alert(1)', 'must be a comma-separated list of Title=URL'],
    ['CONSOLE_LINKS', 'A=https://a.example.com,=https://b.example.com', 'must be a comma-separated list of Title=URL'],
  ])('rejects %s=%j of the console links', (name, value, problem) => {
    expect(() => load({ [name]: value })).toThrow(`${name}: ${problem}`);
  });

  test.each(['0.0.0.0', '::', '10.0.0.7', 'shop.example.com', '127.0.0.1.example.com', 'localhost.example.com'])(
    'rejects HOST=%s without API keys or a token issuer, and shows an example',
    (HOST) => {
      for (const nothing of [{}, { API_KEYS: '', JWT_ISSUER: '' }]) {
        expect(() => load({ HOST, ...nothing })).toThrow(ConfigError);
        expect(() => load({ HOST, ...nothing })).toThrow(
          /API_KEYS: API_KEYS or JWT_ISSUER must be set.*\(example: API_KEYS='\[\{"id"/,
        );
      }
    },
  );

  test.each(['localhost', '127.0.0.1', '127.0.0.2', '::1', 'LOCALHOST'])(
    'accepts HOST=%s without authentication',
    (HOST) => {
      expect(load({ HOST }).HOST).toBe(HOST);
    },
  );

  test.each<[string, NodeJS.ProcessEnv]>([
    ['keys', { API_KEYS }],
    ['tokens', jwt],
    ['both', { API_KEYS, ...jwt }],
  ])('accepts HOST=0.0.0.0 when the configured authentication is: %s', (_description, more) => {
    expect(load({ HOST: '0.0.0.0', ...more })).toMatchObject({ HOST: '0.0.0.0' });
  });

  test('reads callers and roles from JSON, with two key hashes during a key rotation', () => {
    const rotating = { ...key, hashes: [hash, 'b'.repeat(64)] };
    expect(load({ API_KEYS: JSON.stringify([rotating]) }).API_KEYS).toEqual([rotating]);
  });

  test.each(Object.keys(jwt))('reports %s with an example when it is the only missing token setting', (name) => {
    for (const HOST of ['127.0.0.1', '0.0.0.0']) {
      const incomplete = { ...jwt, [name]: undefined, HOST };
      expect(() => load(incomplete)).toThrow(
        new RegExp(`${name}: must be set together with JWT_.*example: ${name}=https:`),
      );
    }
  });

  test.each<[string, string, string | RegExp]>([
    ['API_KEYS', '{', 'must be valid JSON'],
    ['API_KEYS', '[]', 'API_KEYS: /:'],
    ['API_KEYS', JSON.stringify(key), 'API_KEYS: /:'],
    ['API_KEYS', JSON.stringify([{ ...key, hashes: ['wop_a-key-and-no-hash'] }]), '/0/hashes/0: must be a SHA-256'],
    ['API_KEYS', JSON.stringify([{ ...key, hashes: ['A'.repeat(64)] }]), '/0/hashes/0: must be a SHA-256'],
    ['API_KEYS', JSON.stringify([{ ...key, hashes: [] }]), '/0/hashes'],
    ['API_KEYS', JSON.stringify([{ ...key, hashes: ['a', 'b', 'c'].map((c) => c.repeat(64)) }]), '/0/hashes'],
    ['API_KEYS', JSON.stringify([{ ...key, roles: ['admin'] }]), '/0/roles/0'],
    ['API_KEYS', JSON.stringify([{ ...key, roles: [] }]), '/0/roles'],
    ['API_KEYS', JSON.stringify([{ ...key, id: "ada' or '1" }]), '/0/id'],
    ['API_KEYS', JSON.stringify([{ ...key, key: 'wop_secret' }]), 'key'],
    ['API_KEYS', JSON.stringify([key, { ...key, hashes: ['b'.repeat(64)] }]), 'must not contain an id twice'],
    ['API_KEYS', JSON.stringify([key, { ...key, id: 'bob' }]), 'must not contain a hash twice'],
    ['JWT_JWKS_URL', 'http://login.example.com/jwks.json', 'must be an https URL'],
    ['JWT_JWKS_URL', 'login.example.com', 'must be an https URL'],
    ['CURSOR_SECRET', 'short', 'must be at least 32 characters'],
    ['CURSOR_SECRET', [...'abc'].map((c) => c.repeat(32)).join(','), 'must be one secret, or two'],
    ['CURSOR_SECRET', '', 'is not set'],
    ['CORS_ORIGINS', 'shop.example.com', 'must be a comma-separated list of origins'],
    ['CORS_ORIGINS', 'https://shop.example.com/', 'must be a comma-separated list of origins'],
    [
      'CORS_ORIGINS',
      'https://shop.example.com,https://other.example.com/path',
      'must be a comma-separated list of origins',
    ],
    ['CORS_ORIGINS', '*', 'must be a comma-separated list of origins'],
    ['CORS_ORIGINS', 'null', 'must be a comma-separated list of origins'],
    ['CORS_ORIGINS', 'https://*.example.com', 'must be a comma-separated list of origins'],
    ['CORS_ORIGINS', 'ftp://shop.example.com', 'must be a comma-separated list of origins'],
    ['HSTS_MAX_AGE', '-1', 'HSTS_MAX_AGE'],
    ['RATE_LIMIT_PER_MINUTE', '0', 'must be an integer from 1'],
    ['MAX_EVENT_LOOP_DELAY_MS', '0', 'must be an integer from 1'],
  ])('rejects %s=%j with the name, the problem and an example', (name, value, problem) => {
    const start = () => load({ ...jwt, API_KEYS, [name]: value });
    expect(start).toThrow(ConfigError);
    expect(start).toThrow(problem);
    expect(start).toThrow(new RegExp(`${name}.*example: ${name}=`));
  });

  test('omits an API key from the error when the key is given instead of its hash', () => {
    const wrong = JSON.stringify([{ ...key, hashes: ['wop_a-key-and-no-hash'] }]);
    expect(() => load({ API_KEYS: wrong })).toThrow(expect.not.stringContaining('wop_a-key') as never);
  });

  test('reads the client of the identity provider, for a public client without a secret', () => {
    const client = { OIDC_CLIENT_ID: 'shop-console' };
    expect(load({ ...jwt, ...client })).toMatchObject({ ...client, OIDC_SCOPE: 'openid' });
    const confidential = { ...client, OIDC_CLIENT_SECRET: 'a secret', OIDC_SCOPE: 'openid email' };
    expect(load({ ...jwt, ...confidential })).toMatchObject(confidential);
    const JWT_ISSUER = 'http://127.0.0.1:8080';
    expect(load({ ...jwt, ...client, JWT_ISSUER })).toMatchObject({ ...client, JWT_ISSUER });
  });

  test.each<[string, NodeJS.ProcessEnv, string]>([
    ['without an issuer', { OIDC_CLIENT_ID: 'a' }, 'JWT_ISSUER: must be set together with OIDC_CLIENT_ID'],
    ['without an audience', { ...jwt, JWT_AUDIENCE: '', OIDC_CLIENT_ID: 'a' }, 'JWT_AUDIENCE: must be set together'],
    [
      'without an id',
      { ...jwt, OIDC_CLIENT_SECRET: 'b' },
      'OIDC_CLIENT_ID: must be set together with OIDC_CLIENT_SECRET',
    ],
    [
      'with an issuer that is not a URL',
      { ...jwt, JWT_ISSUER: 'login', OIDC_CLIENT_ID: 'a' },
      'JWT_ISSUER: must be an https URL, because OIDC_CLIENT_ID is set, got "login"',
    ],
    [
      'with an http issuer on another machine',
      { ...jwt, JWT_ISSUER: 'http://login.example.com', OIDC_CLIENT_ID: 'a' },
      'JWT_ISSUER: must be an https URL',
    ],
    ['with a scope without openid', { ...jwt, OIDC_CLIENT_ID: 'a', OIDC_SCOPE: 'email' }, 'OIDC_SCOPE: must be scopes'],
  ])('rejects a client of the identity provider %s with one problem', (_what, more, problem) => {
    expect(() => load(more)).toThrow(problem);
    const { problems } = readConfig('api', { ...api, ...more });
    expect(problems).toHaveLength(1);
  });

  test('accepts an http JWKS URL on loopback', () => {
    const JWT_JWKS_URL = 'http://127.0.0.1:8080/jwks.json';
    expect(load({ ...jwt, JWT_JWKS_URL }).JWT_JWKS_URL).toBe(JWT_JWKS_URL);
  });

  test('reads the allowed CORS origins', () => {
    const CORS_ORIGINS = 'https://shop.example.com, http://localhost:5173';
    expect(load({ CORS_ORIGINS }).CORS_ORIGINS).toEqual(['https://shop.example.com', 'http://localhost:5173']);
  });

  test('redactConfig removes callers and secrets from the configuration of the API', () => {
    const printed = JSON.stringify(redactConfig(load({ API_KEYS, ...jwt })));
    for (const hidden of [hash, 'ada', 'c'.repeat(32), 'password', secret]) expect(printed).not.toContain(hidden);
    expect(printed).toContain('login.example.com');
  });
});
