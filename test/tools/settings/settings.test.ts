import { isAbsolute, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { developmentEnvironment } from '../../../tools/settings/development-environment.js';
import { loadSettings, SettingsError } from '../../../tools/settings/settings.js';
import { loadConfig } from '../../../src/config/read.js';
import { projectRoot } from '../../support/processes.js';

describe('the settings of the development stack', () => {
  test('loadSettings has a default value for every variable', () => {
    expect(loadSettings({})).toMatchObject({
      host: '127.0.0.1',
      port: 3000,
      temporalPort: 7233,
      temporalUiPort: 8233,
      temporalAddress: undefined,
      temporalNamespace: 'default',
      databaseUrl: undefined,
      dataDir: join(projectRoot, '.data'),
      fakesPort: 3001,
      smtpPort: 3025,
      metricsPort: 3003,
      workerMetricsPort: 3004,
      smtpUrl: undefined,
      applicationEnv: {},
      carrierPickupSeconds: 1,
      carrierDeliverySeconds: 3,
    });
  });

  test('PORT_OFFSET moves every default port and the data folder, but no given port', () => {
    const [first, second] = [loadSettings({}), loadSettings({ PORT_OFFSET: '1000', FAKES_PORT: '5001' })];
    const ports = Object.entries(first).filter(([name]) => /port$/i.test(name));
    expect(ports).toHaveLength(8);
    for (const [name, port] of ports)
      expect(second[name as keyof typeof second], name).toBe(name === 'fakesPort' ? 5_001 : Number(port) + 1_000);
    expect(second.dataDir).toBe(join(projectRoot, '.data/port-offset-1000'));
    expect(loadSettings({ PORT_OFFSET: '1000', DATA_DIR: 'mine' }).dataDir).toBe(join(projectRoot, 'mine'));
  });

  test('loadSettings treats an empty variable as unset', () => {
    expect(
      loadSettings({ PORT: '', TEMPORAL_ADDRESS: '', DATABASE_URL: '', DATA_DIR: '', SMTP_URL: '', MAIL_FROM: '' }),
    ).toEqual(loadSettings({}));
  });

  test.each([
    ['PORT', '0'],
    ['PORT', '65536'],
    ['PORT', '3000x'],
    ['PORT_OFFSET', '57001'],
    ['FAKES_SMTP_PORT', '25 '],
    ['TEMPORAL_ADDRESS', 'http://localhost:7233'],
    ['TEMPORAL_ADDRESS', 'localhost:72330'],
    ['PAYMENTS_URL', 'payments.example.com'],
    ['FAKE_CARRIER_PICKUP_SECONDS', '-1'],
    ['LOG_LEVEL', 'loud'],
  ])('loadSettings rejects %s=%j with the name, the rule, the value and an example', (name, value) => {
    const load = () => loadSettings({ [name]: value });
    expect(load).toThrow(SettingsError);
    expect(load).toThrow(new RegExp(`^${name}: must be .*\\(example: ${name}=.*\\)$`, 'm'));
    expect(load).toThrow(`got ${JSON.stringify(value)}`);
  });

  test('loadSettings reports all invalid variables in one error', () => {
    expect(() => loadSettings({ PORT: 'x', TEMPORAL_PORT: 'y' })).toThrow(/PORT: .*"x"[^]*TEMPORAL_PORT: .*"y"/);
  });

  test.each([
    ['CARRIER_WEBHOOK_SECRET', 'hunter2'],
    ['DATABASE_URL', 'mysql://shop:hunter2@localhost/shop'],
    ['PAYMENTS_URL', 'ftp://shop:hunter2@payments.example.com'],
  ])('loadSettings omits the secret from the error for an invalid %s', (name, value) => {
    const load = () => loadSettings({ [name]: value });
    expect(load).toThrow(`${name}: must be`);
    expect(load).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
  });

  test.each([
    ['PAYMENTS_URL', ['CARRIER_URL']],
    ['CARRIER_URL', ['PAYMENTS_URL', 'CARRIER_WEBHOOK_SECRET']],
  ])('loadSettings rejects %s when a variable that belongs to it is missing', (name, missing) => {
    const load = () => loadSettings({ [name]: 'https://partner.example.com' });
    for (const other of missing) expect(load).toThrow(`${other}: must be set when ${name} is set (example: ${other}=`);
  });

  test('loadSettings requires both the address and the database of a shared cluster', () => {
    const databaseUrl = 'postgres://postgres:secret@127.0.0.1:5432/shop';
    const both = { SHARED_TEMPORAL_ADDRESS: '127.0.0.1:7233', SHARED_DATABASE_URL: databaseUrl };
    expect(loadSettings(both).sharedServers).toEqual({ address: '127.0.0.1:7233', databaseUrl });
    expect(loadSettings({}).sharedServers).toBeUndefined();
    for (const [name, value] of Object.entries(both))
      expect(() => loadSettings({ [name]: value })).toThrow(`: must be set when ${name} is set (example: SHARED_`);
  });

  test('loadSettings resolves folders relative to the checkout or to the home folder', () => {
    const { dataDir, cacheDir } = loadSettings({ DATA_DIR: 'elsewhere', CACHE_DIR: '~/cache' });
    expect(dataDir).toBe(join(projectRoot, 'elsewhere'));
    expect(isAbsolute(cacheDir)).toBe(true);
  });
});

describe('developmentEnvironment', () => {
  const apiUrl = 'http://127.0.0.1:3100';
  const others = {
    DATABASE_URL: 'postgres://127.0.0.1/shop',
    PAYMENTS_URL: 'http://127.0.0.1/payments',
    CARRIER_URL: 'http://127.0.0.1/carrier',
    CARRIER_WEBHOOK_SECRET: loadSettings({}).carrierWebhookSecret,
  };

  test('uses the defaults of the application, and sends e-mails to the fake mail server', () => {
    const env = { ...others, ...developmentEnvironment(loadSettings({ FAKES_SMTP_PORT: '3125' }), apiUrl) };

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

  test('passes given variables on unchanged, even invalid variables, instead of the defaults', () => {
    const given = {
      SMTP_URL: 'smtp://mail.example.com',
      PUBLIC_URL: 'not a URL',
      OUTGOING_ALLOWED_HOSTS: 'hooks.example.com',
      ORDER_APPROVAL_STAGES: '[]',
    };

    const env = developmentEnvironment(loadSettings({ ...given, MAIL_FROM: '', SOMETHING_ELSE: '1' }), apiUrl);

    expect(env).toEqual({ ...developmentEnvironment(loadSettings({}), apiUrl), ...given });
  });

  test.each([
    'WORKER_TASK_QUEUES',
    'WORKER_TUNER',
    'WORKER_TARGET_MEMORY',
    'WORKER_TARGET_CPU',
    'WORKER_MAX_CONCURRENT_ACTIVITIES',
    'WORKER_MAX_CONCURRENT_WORKFLOW_TASKS',
    'WORKER_MAX_CACHED_WORKFLOWS',
    'PAYMENTS_PER_SECOND',
    'TEMPORAL_DEPLOYMENT_NAME',
    'TEMPORAL_WORKER_BUILD_ID',
  ])('passes %s on, and unsets it for a stack with its own application settings', (name) => {
    const settings = loadSettings({ [name]: 'given' });
    expect(developmentEnvironment(settings, apiUrl)).toMatchObject({ [name]: 'given' });
    const own = Object.entries(developmentEnvironment({ ...settings, applicationEnv: {} }, apiUrl));
    expect(own).toContainEqual([name, undefined]);
  });
});
