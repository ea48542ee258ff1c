import { join } from 'node:path';
import { runCommand } from '../processes/commands.js';
import { typescriptCommand } from '../processes/processes.js';
import { waitUntil } from '../processes/wait.js';
import type { Reporter } from '../terminal/reporter.js';
import type { ComposeProject, Container } from './compose-project.js';
import type { ContainerEngine } from './engine.js';
import { runConsoleStory } from './console-story.js';
import { ShopClient } from './shop-client.js';

export interface StepContext {
  engine: ContainerEngine;
  project: ComposeProject;
  report: Reporter;
}

/** A step of the test. Throws when an expectation fails. May return what it measured. */
interface Step {
  title: string;
  run(context: StepContext): Promise<string | undefined>;
}

const MEGABYTE = 1_000_000;
/** The largest sizes of the images. */
const SIZE_LIMITS = { 'workflow-orchestration-patterns': 350, 'workflow-orchestration-patterns-fakes': 400 };
const ONE_TIME_SERVICES = ['databases', 'temporal-schema', 'setup', 'catalogue', 'current-version'];
/** The services that are killed while orders are in flight, one after the other. */
const KILLED_SERVICES = ['worker', 'api', 'temporal', 'fakes', 'postgres', 'gateway', 'api-2', 'worker'];
const ORDERS_PER_KILL = 10;
const startTimeoutMs = 20 * 60_000;
const tourTimeoutMs = 5 * 60_000;

/**
 * The commands of an upgrade after `build`, as in docs/operations/deployment.md. A plain `up` would stop all containers
 * of the old version before it starts the new ones.
 */
const UPGRADE = [
  ['run', '--rm', '-T', 'setup'],
  ['--profile', 'previous', 'up', '-d', '--no-deps', '--wait', 'worker', 'worker-previous'],
  ['run', '--rm', '-T', '--no-deps', 'current-version'],
  ['up', '-d', '--no-deps', '--wait', 'api'],
  ['up', '-d', '--no-deps', '--wait', 'api-2'],
];

const upArgs = ['up', '-d', '--build', '--wait'];

function expect(holds: boolean, problem: string): void {
  if (!holds) throw new Error(problem);
}

export const STEPS: readonly Step[] = [
  {
    title: 'starts every container with docker compose up -d --build --wait',
    async run({ project }) {
      await project.compose(upArgs, { timeoutMs: startTimeoutMs });
      const containers = await project.containers();
      expectStarted(containers);
      return `${containers.length} containers`;
    },
  },
  {
    title: 'builds images that are below their size limits',
    async run({ engine, project }) {
      const sizes: string[] = [];
      for (const [name, limit] of Object.entries(SIZE_LIMITS)) {
        const image = `${name}:${project.version}`;
        const megabytes = Number(await engine.docker(['image', 'inspect', '--format', '{{.Size}}', image])) / MEGABYTE;
        expect(megabytes < limit, `${image} is ${megabytes.toFixed()} MB, more than ${limit} MB`);
        sizes.push(`${name} ${megabytes.toFixed()} MB`);
      }
      return sizes.join(', ');
    },
  },
  {
    title: 'labels the images, and puts the bill of materials into the image of the application',
    async run({ engine, project }) {
      const bill: string[] = [];
      for (const name of Object.keys(SIZE_LIMITS)) {
        const image = `${name}:${project.version}`;
        const labels = JSON.parse(
          await engine.docker(['image', 'inspect', '--format', '{{json .Config.Labels}}', image]),
        ) as Record<string, string>;
        for (const label of ['title', 'description', 'licenses', 'version', 'revision'])
          expect(Boolean(labels[`org.opencontainers.image.${label}`]), `${image} has no label ${label}`);
        expect(labels['org.opencontainers.image.version'] === project.version, `${image} has another version`);
      }
      const script = 'console.log(require("./sbom.cdx.json").components.map(({ name }) => name).join("\\n"))';
      const run = ['run', '--rm', '--read-only', `workflow-orchestration-patterns:${project.version}`];
      bill.push(...(await engine.docker([...run, 'node', '-e', script])).split('\n'));
      expect(bill.includes('@temporalio/worker'), `the bill of materials lists ${bill.length} packages`);
      expect(!bill.includes('vitest'), 'the bill of materials lists a development tool');
      return `${bill.length} packages`;
    },
  },
  {
    title: 'names a wrong variable in one line in docker run',
    async run({ engine, project }) {
      const image = `workflow-orchestration-patterns:${project.version}`;
      const run = ['run', '--rm', '-e', 'PORT=http', '-e', 'DATABASE_URL=postgres://shop@postgres/shop', image];
      const outcome = await outcomeOf(engine.docker([...run, 'node', 'dist/api/server.js']));
      expect(/^\s*PORT: .*"http"/m.test(outcome) && !/\n\s+at /.test(outcome), `the API printed: ${outcome}`);
      return undefined;
    },
  },
  {
    title: 'publishes ports only on loopback, and each of them responds',
    async run({ project }) {
      const published = (await project.containers()).flatMap(({ Name, NetworkSettings }) =>
        Object.values(NetworkSettings.Ports).flatMap((ports) => (ports ?? []).map((port) => ({ Name, ...port }))),
      );
      for (const { Name, HostIp } of published) expect(HostIp === '127.0.0.1', `${Name} listens on ${HostIp}`);
      const ports = [...new Set(published.map(({ HostPort }) => Number(HostPort)))].sort();
      expect(ports.join() === Object.values(project.ports).sort().join(), `published ports: ${ports.join(', ')}`);
      for (const port of ports) await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(10_000) });
      return `${ports.length} ports`;
    },
  },
  {
    title: 'restricts every process: not root, no capabilities, no new privileges, read-only files',
    async run({ engine, project }) {
      const running = (await project.containers()).filter(({ State }) => State.Status === 'running');
      for (const { Id, Name } of running) {
        const status = await engine.docker(['exec', Id, 'cat', '/proc/1/status']);
        const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1];
        expect(!/\b0\b/.test(field('Uid') ?? '0'), `${Name} runs as root`);
        for (const set of ['CapEff', 'CapPrm', 'CapBnd'])
          expect(/^0+$/.test(field(set) ?? ''), `${Name} has capabilities: ${set} ${field(set)}`);
        expect(field('NoNewPrivs') === '1', `${Name} may gain privileges`);
        const mounts = await engine.docker(['exec', Id, 'cat', '/proc/1/mounts']);
        expect(/^\S+ \/ \S+ ro\b/m.test(mounts), `${Name} has a writable file system`);
      }
      return `${running.length} running containers`;
    },
  },
  {
    title: 'gives the database container only its own password',
    async run({ project }) {
      const withPasswords = (await project.containers()).filter(({ service }) => service === 'postgres');
      const names = withPasswords.flatMap(({ Config }) => Config.Env.map((line) => line.split('=')[0]!));
      const passwords = names.filter((name) => name.endsWith('PASSWORD'));
      expect(passwords.join() === 'POSTGRES_PASSWORD', `the database has ${passwords.join(', ')}`);
      return undefined;
    },
  },
  {
    title: 'keeps data only in the named volumes of the file',
    async run({ project }) {
      for (const { Name, Mounts } of await project.containers())
        for (const mount of Mounts)
          if (mount.Type === 'volume')
            expect(mount.Name?.startsWith(`${project.name}_`) === true, `${Name} has the volume ${mount.Name}`);
      return undefined;
    },
  },
  {
    title: 'passes the tour with the key of .env',
    async run({ project, report }) {
      const lines: string[] = [];
      await runTour(project, { API_KEY: await project.readSecret('API_KEY') }, (line) => lines.push(line)).catch(
        (error: unknown) => {
          report.print(lines.join('\n'));
          throw error;
        },
      );
      return lines.at(-1);
    },
  },
  {
    title: 'names .env in the tour without a key',
    async run({ project }) {
      const outcome = await outcomeOf(runTour(project, {}, () => undefined));
      expect(outcome.includes('.env'), `the tour printed: ${outcome}`);
      return undefined;
    },
  },
  {
    title: 'completes a large order that is placed and approved in the console while the workers are killed',
    async run({ engine, project }) {
      const orderId = await runConsoleStory(project, async () => {
        for (const container of await project.containers())
          if (container.service === 'worker') await killContainer({ project, engine }, container);
        await waitForHealth(project);
      });
      const unbalanced = await (await createClient(project)).findUnbalancedOrders([orderId]);
      expect(unbalanced.length === 0, unbalanced.join('\n'));
      return undefined;
    },
  },
  {
    title: 'completes every order exactly once while containers are killed',
    async run({ project, engine }) {
      const client = await createClient(project);
      const orderIds: string[] = [];
      for (const [round, service] of KILLED_SERVICES.entries()) {
        const ids = Array.from({ length: ORDERS_PER_KILL }, (_, index) => `kill-${round}-${index}`);
        orderIds.push(...ids);
        const placed = Promise.all(ids.map((orderId) => client.placeOrder(orderId)));
        await killService({ project, engine }, service);
        await placed;
        await waitForHealth(project);
      }
      await client.waitForCompletion(orderIds);
      const unbalanced = await client.findUnbalancedOrders(orderIds);
      expect(unbalanced.length === 0, unbalanced.join('\n'));
      return `${orderIds.length} orders, kills of ${KILLED_SERVICES.join(', ')}`;
    },
  },
  {
    title: 'upgrades to another version while an API responds to every request',
    async run({ project }) {
      const client = await createClient(project);
      const versions = { APPLICATION_VERSION: project.nextVersion, PREVIOUS_VERSION: project.version };
      const upgrade = (...args: string[]) => project.compose(args, { timeoutMs: startTimeoutMs, env: versions });
      await upgrade('build');
      const probe = client.startProbe();
      await client.placeOrder('before-upgrade');
      for (const args of UPGRADE) await upgrade(...args);
      const { requests, failures } = await probe.stop();
      expect(
        failures.length === 0,
        `${failures.length} of ${requests} requests got no response from an API: ${failures[0]}`,
      );
      await client.placeOrder('after-upgrade');
      await client.waitForCompletion(['before-upgrade', 'after-upgrade']);
      const images = (await project.containers()).filter(({ service }) => ['api', 'api-2', 'worker'].includes(service));
      for (const { Name, Config } of images)
        expect(Config.Image.endsWith(`:${project.nextVersion}`), `${Name} runs ${Config.Image}`);
      return `${requests} requests`;
    },
  },
  {
    title: 'names the variable in one line when setup has a wrong password',
    async run({ project }) {
      const url = 'postgres://shop_owner:wrong@postgres:5432/shop';
      const run = ['run', '--rm', '--no-deps', '-T', '-e', `DATABASE_URL=${url}`, 'setup'];
      const outcome = await outcomeOf(project.compose(run));
      expect(/^\s*DATABASE_URL: /m.test(outcome) && !/\n\s+at /.test(outcome), `setup printed: ${outcome}`);
      return undefined;
    },
  },
  {
    title: 'stops every container within its grace period',
    async run({ project }) {
      await project.compose(['--profile', 'previous', 'stop']);
      const stopped = await project.containers();
      for (const { Name, State } of stopped) {
        expect(State.Status === 'exited', `${Name} is ${State.Status}`);
        expect(State.ExitCode !== 137, `${Name} was killed after its grace period`);
      }
      return undefined;
    },
  },
  {
    title: 'keeps its state through down and up, with a new database password',
    async run({ project }) {
      await project.compose(['--profile', 'previous', 'down']);
      expect((await project.containers()).length === 0, 'down left containers');
      await project.changeSecret('SHOP_DATABASE_PASSWORD');
      await project.compose(['up', '-d', '--wait'], { timeoutMs: startTimeoutMs });
      const client = await createClient(project);
      const status = await client.readStatus('after-upgrade');
      expect(status === 'completed', `order after-upgrade is ${status}`);
      await client.placeOrder('after-restart');
      await client.waitForCompletion(['after-restart']);
      return undefined;
    },
  },
  {
    title: 'restarts workers and APIs after a change of the mounted sources with docker-compose.dev.yml',
    async run({ project }) {
      const client = await createClient(project);
      const sources = await project.copySources();
      await project.compose(upArgs, { timeoutMs: startTimeoutMs, files: sources.files });
      expectStarted(await project.containers());
      await client.waitForRemovalProblem('is not in the cart');
      await sources.replace('src/workflows/cart/changes.ts', 'is not in the cart', 'is missing in the cart');
      await client.waitForRemovalProblem('is missing in the cart');
      await sources.replace('src/api/plugins/openapi/index.ts', "'Workflow orchestration patterns'", "'Changed title'");
      await client.waitForTitle('Changed title');
      await client.placeOrder('after-change');
      await client.waitForCompletion(['after-change']);
      return undefined;
    },
  },
  {
    title: 'leaves nothing after docker compose down --volumes',
    async run({ project, engine }) {
      await project.compose(['down', '--volumes']);
      const filter = ['--filter', `label=com.docker.compose.project=${project.name}`, '-q'];
      for (const [kind, args] of Object.entries({
        containers: ['ps', '-a'],
        volumes: ['volume', 'ls'],
        networks: ['network', 'ls'],
      }))
        expect((await engine.docker([...args, ...filter])) === '', `${kind} are left`);
      return undefined;
    },
  },
];

function expectStarted(containers: readonly Container[]): void {
  for (const { Name, service, State } of containers) {
    if (ONE_TIME_SERVICES.includes(service))
      expect(State.Status === 'exited' && State.ExitCode === 0, `${Name} is ${State.Status}, code ${State.ExitCode}`);
    else expect(State.Health?.Status === 'healthy', `${Name} is ${State.Status}, ${State.Health?.Status}`);
  }
}

const createClient = async (project: ComposeProject): Promise<ShopClient> =>
  new ShopClient(project, await project.readSecret('API_KEY'));

/** Waits until every container that has a health check is healthy again. */
const waitForHealth = (project: ComposeProject): Promise<boolean> =>
  waitUntil(
    async () => {
      expectStarted(await project.containers());
      return true;
    },
    { description: 'healthy containers', timeoutMs: 3 * 60_000, intervalMs: 1_000 },
  );

/** Kills one container of a service. */
async function killService({ project, engine }: Omit<StepContext, 'report'>, service: string): Promise<void> {
  await killContainer(
    { project, engine },
    (await project.containers()).find((found) => found.service === service)!,
  );
}

/** Kills all processes of a container, and waits until the engine has restarted the container. */
async function killContainer(
  { project, engine }: Omit<StepContext, 'report'>,
  { Id, Name, State }: Container,
): Promise<void> {
  await engine.crash(Id);
  await waitUntil(
    async () => {
      const now = (await project.containers()).find((container) => container.Id === Id);
      return now && now.State.StartedAt !== State.StartedAt ? true : undefined;
    },
    { description: `restart of ${Name}`, timeoutMs: 60_000, intervalMs: 250 },
  );
}

/** Returns the output of a command that must fail. */
const outcomeOf = (command: Promise<string>): Promise<string> =>
  command.then(
    () => 'nothing, and succeeded',
    (error: unknown) => (error as Error).message,
  );

/** Runs the tour on the project. The empty data folder prevents that the tour finds a stack of `npm start`. */
async function runTour(
  project: ComposeProject,
  env: Record<string, string>,
  onLine: (line: string) => void,
): Promise<string> {
  return runCommand({
    name: 'the tour',
    ...typescriptCommand('tools/tour/main.ts'),
    env: {
      API_KEY: undefined,
      HOST: '127.0.0.1',
      PORT: String(project.ports.API_PORT),
      DATA_DIR: join(project.folder, 'tour'),
      ...env,
    },
    timeoutMs: tourTimeoutMs,
    onLine,
  });
}
