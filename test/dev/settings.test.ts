import { isAbsolute, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkout, developmentEnvironment, loadSettings, SettingsError } from '../../dev/settings.js';
import { loadConfig } from '../../src/config.js';

describe('the settings of the development stack', () => {
  it('when nothing is set, then every default is there', () => {
    expect(loadSettings({})).toMatchObject({
      host: '127.0.0.1',
      port: 3000,
      temporalPort: 7233,
      temporalUiPort: 8233,
      temporalAddress: undefined,
      temporalNamespace: 'default',
      databaseUrl: undefined,
      dataDir: join(checkout, '.data'),
      providersPort: 3001,
      smtpPort: 3025,
      metricsPort: 3003,
      workerMetricsPort: 3004,
      smtpUrl: undefined,
      application: {},
      carrierPickupSeconds: 1,
      carrierDeliverySeconds: 3,
    });
  });

  it('when a variable is empty, then it counts as unset', () => {
    expect(
      loadSettings({ PORT: '', TEMPORAL_ADDRESS: '', DATABASE_URL: '', DATA_DIR: '', SMTP_URL: '', MAIL_FROM: '' }),
    ).toEqual(loadSettings({}));
  });

  it.each([
    ['PORT', '0'],
    ['PORT', '65536'],
    ['PORT', '3000x'],
    ['SMTP_PORT', '25 '],
    ['TEMPORAL_ADDRESS', 'http://localhost:7233'],
    ['TEMPORAL_ADDRESS', 'localhost:72330'],
    ['PAYMENTS_URL', 'payments.example.com'],
    ['CARRIER_PICKUP_SECONDS', '-1'],
    ['LOG_LEVEL', 'loud'],
  ])('rejects %s=%j with its name, the rule, the value and an example', (name, value) => {
    const load = () => loadSettings({ [name]: value });
    expect(load).toThrow(SettingsError);
    expect(load).toThrow(new RegExp(`^${name}: must be .*\\(example: ${name}=.*\\)$`, 'm'));
    expect(load).toThrow(`got ${JSON.stringify(value)}`);
  });

  it('names all wrong variables at once', () => {
    expect(() => loadSettings({ PORT: 'x', TEMPORAL_PORT: 'y' })).toThrow(/PORT: .*"x"[^]*TEMPORAL_PORT: .*"y"/);
  });

  it.each([
    ['CARRIER_WEBHOOK_SECRET', 'hunter2'],
    ['DATABASE_URL', 'mysql://shop:hunter2@localhost/shop'],
    ['PAYMENTS_URL', 'ftp://shop:hunter2@payments.example.com'],
  ])('does not repeat the secret of a wrong %s', (name, value) => {
    const load = () => loadSettings({ [name]: value });
    expect(load).toThrow(`${name}: must be`);
    expect(load).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
  });

  it.each([
    ['PAYMENTS_URL', ['CARRIER_URL']],
    ['CARRIER_URL', ['PAYMENTS_URL', 'CARRIER_WEBHOOK_SECRET']],
  ])('rejects %s without the variables that belong to it', (name, missing) => {
    const load = () => loadSettings({ [name]: 'https://partner.example.com' });
    for (const other of missing) expect(load).toThrow(`${other}: is needed with ${name} (example: ${other}=`);
  });

  it('when a cluster is given, then its address and its database belong together', () => {
    const databaseUrl = 'postgres://postgres:secret@127.0.0.1:5432/shop';
    const both = { CLUSTER_ADDRESS: '127.0.0.1:7233', CLUSTER_DATABASE_URL: databaseUrl };
    expect(loadSettings(both).cluster).toEqual({ address: '127.0.0.1:7233', databaseUrl });
    expect(loadSettings({}).cluster).toBeUndefined();
    for (const [name, value] of Object.entries(both))
      expect(() => loadSettings({ [name]: value })).toThrow(`: is needed with ${name} (example: CLUSTER_`);
  });

  it('when folders are given, then they become absolute, from the checkout and from the home folder', () => {
    const { dataDir, cacheDir } = loadSettings({ DATA_DIR: 'elsewhere', CACHE_DIR: '~/cache' });
    expect(dataDir).toBe(join(checkout, 'elsewhere'));
    expect(isAbsolute(cacheDir)).toBe(true);
  });
});

describe("the application's own variables", () => {
  const apiUrl = 'http://127.0.0.1:3100';
  const others = {
    DATABASE_URL: 'postgres://127.0.0.1/shop',
    PAYMENTS_URL: 'http://127.0.0.1/payments',
    CARRIER_URL: 'http://127.0.0.1/carrier',
    CARRIER_WEBHOOK_SECRET: loadSettings({}).carrierWebhookSecret,
  };

  it('when nothing is set, then the application takes the defaults, and mails go to the played mail server', () => {
    const env = { ...others, ...developmentEnvironment(loadSettings({ SMTP_PORT: '3125' }), apiUrl) };

    expect(loadConfig('worker', env)).toMatchObject({
      SMTP_URL: 'smtp://127.0.0.1:3125',
      PUBLIC_URL: apiUrl,
      OUTGOING_ALLOW_PRIVATE: true,
      ORDER_APPROVAL_THRESHOLD: 100_000,
      ORDER_APPROVAL_STAGES: [
        { approvers: [{ id: 'shift-lead', email: 'shift-lead@example.com' }], timeoutSeconds: 86_400 },
        { approvers: [{ id: 'manager', email: 'manager@example.com' }], timeoutSeconds: 172_800 },
      ],
    });
    expect(() => loadConfig('api', env)).not.toThrow();
  });

  it('when some are set, also wrongly, then they are passed on as they are over the defaults', () => {
    const given = {
      SMTP_URL: 'smtp://mail.example.com',
      PUBLIC_URL: 'not a URL',
      OUTGOING_ALLOWED_HOSTS: 'hooks.example.com',
      ORDER_APPROVAL_STAGES: '[]',
    };

    const env = developmentEnvironment(loadSettings({ ...given, MAIL_FROM: '', SOMETHING_ELSE: '1' }), apiUrl);

    expect(env).toEqual({ ...developmentEnvironment(loadSettings({}), apiUrl), ...given });
  });

  it.each([
    'WORKER_QUEUES',
    'WORKER_TUNER',
    'WORKER_TARGET_MEMORY',
    'WORKER_TARGET_CPU',
    'WORKER_ACTIVITIES_AT_ONCE',
    'WORKER_WORKFLOW_TASKS_AT_ONCE',
    'WORKER_CACHED_WORKFLOWS',
    'PAYMENTS_PER_SECOND',
    'TEMPORAL_DEPLOYMENT_NAME',
    'TEMPORAL_WORKER_BUILD_ID',
  ])('when %s is set, then it is passed on, and taken from whoever has an application of its own', (name) => {
    const settings = loadSettings({ [name]: 'given' });
    expect(developmentEnvironment(settings, apiUrl)).toMatchObject({ [name]: 'given' });
    const own = Object.entries(developmentEnvironment({ ...settings, application: {} }, apiUrl));
    expect(own).toContainEqual([name, undefined]);
  });
});
