import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { z } from 'zod';
import { freePort } from '../../processes/ports.js';
import { startProcess, typescriptCommand, type ManagedProcess } from '../../processes/processes.js';
import { waitUntilReady } from '../../processes/readiness.js';
import { waitUntil } from '../../processes/wait.js';
import { createTemporaryDatabase } from '../../servers/postgres/temporary-database.js';
import { unsetShellVariables } from '../../settings/application-variables.js';
import { projectRoot } from '../../settings/environment.js';
import { developmentWebhookSecret } from '../../settings/variable-rules.js';

const PEERS_FOLDER = join(projectRoot, 'tools', 'bench', 'peers');

/** The package contains the program without a wrapper. */
const restatePackage = `@restatedev/restate-server-${process.platform}-${process.arch}`;

/** The programs in tools/bench/peers. */
export const PEERS = { dbos: 'DBOS', restate: 'Restate', 'pg-boss': 'pg-boss' } as const;
export type PeerName = keyof typeof PEERS;

const outcome = z.enum(['completed', 'declined']);

export interface PeerOrder {
  orderId: string;
  sku: string;
  token: string;
}

/** An engine that runs orders in a process of its own, with its own database and fake partners. */
export interface OrderEngine {
  /** Starts an order and waits until it has ended, also across restarts of the process. */
  run: (order: PeerOrder) => Promise<'completed' | 'declined'>;
  /** Kills the process that runs the orders with SIGKILL, and starts it again. Resolves when the new process is ready. */
  killAndRestart: () => Promise<void>;
  /** The base URL of the fake partners. */
  fakesUrl: string;
  stop: () => Promise<void>;
}

/** Installs the packages of the peers into their folder, unless they are installed. */
export async function installPeers(): Promise<void> {
  if (existsSync(join(PEERS_FOLDER, 'node_modules', '.package-lock.json'))) return;
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  const npm = await startProcess({ name: 'npm', command: 'npm', args, cwd: PEERS_FOLDER });
  const { code } = await npm.exited;
  if (code !== 0) throw new Error(`npm ci failed in ${PEERS_FOLDER}:\n${npm.lastOutput()}`);
}

/** Starts a peer with its own database on the server of `databaseUrl`. The carrier delivers at once. */
export async function startPeer(name: PeerName, databaseUrl: string): Promise<OrderEngine> {
  const database = await createTemporaryDatabase(databaseUrl);
  const stops: (() => Promise<unknown>)[] = [() => database.drop()];
  const stop = async (): Promise<void> => {
    for (const each of stops) await each();
  };
  try {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const fakesUrl = await startPeerFakes(`${url}/reports`, stops);
    const env = {
      PORT: String(port),
      DATABASE_URL: database.url,
      FAKES_URL: fakesUrl,
      ...(name === 'restate' && (await startRestateServer(stops))),
    };
    let program = await startProgram(name, env);
    stops.unshift(() => program.stop());
    return {
      fakesUrl,
      async run(order) {
        // Repeats calls that a killed process did not answer. The order id makes the start idempotent.
        const timeoutMs = 120_000;
        const start = async () => [await send('POST', `${url}/orders`, order)];
        await waitUntil(start, { description: `the start of order ${order.orderId}`, timeoutMs });
        const end = async () => outcome.parse(await send('GET', `${url}/orders/${order.orderId}`));
        return await waitUntil(end, { description: `the end of order ${order.orderId}`, timeoutMs });
      },
      killAndRestart: async () => {
        program.kill('SIGKILL');
        await program.exited;
        program = await startProgram(name, env);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startProgram(name: PeerName, env: Record<string, string>): Promise<ManagedProcess> {
  let isReady = false;
  const program = await startProcess({
    name,
    command: process.execPath,
    args: [join(PEERS_FOLDER, `${name}.mjs`)],
    env: { ...unsetShellVariables, RESTATE_LOGGING: 'ERROR', ...env },
    onLine: (line) => {
      isReady ||= line === 'ready';
    },
  });
  await waitUntilReady(program, () => isReady || undefined, {
    description: `start of ${name}`,
    timeoutMs: 60_000,
    intervalMs: 10,
  });
  return program;
}

async function startPeerFakes(callbackUrl: string, stops: (() => Promise<unknown>)[]): Promise<string> {
  const port = await freePort();
  const fakes = await startProcess({
    name: 'fakes',
    ...typescriptCommand('tools/fakes/main.ts'),
    env: {
      ...unsetShellVariables,
      FAKES_PORT: String(port),
      FAKES_SMTP_PORT: 'none',
      CARRIER_CALLBACK_URL: callbackUrl,
      CARRIER_WEBHOOK_SECRET: developmentWebhookSecret,
      FAKE_CARRIER_PICKUP_SECONDS: '0',
      FAKE_CARRIER_DELIVERY_SECONDS: '0',
      LOG_LEVEL: 'error',
    },
  });
  stops.unshift(() => fakes.stop());
  const url = `http://127.0.0.1:${port}`;
  await waitUntilHealthy(fakes, `${url}/healthz`);
  return url;
}

/** @returns the environment of a program that uses the server. */
async function startRestateServer(stops: (() => Promise<unknown>)[]): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-restate-'));
  const [ingress, admin, node, service] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const server = await startProcess({
    name: 'restate-server',
    command: join(PEERS_FOLDER, 'node_modules', restatePackage, 'bin', 'restate-server'),
    env: {
      RESTATE_BASE_DIR: folder,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_DISABLE_TELEMETRY: 'true',
      DO_NOT_TRACK: '1',
      RUST_LOG: 'warn',
    },
  });
  stops.unshift(() => rm(folder, { recursive: true, force: true }));
  stops.unshift(() => server.stop());
  const adminUrl = `http://127.0.0.1:${admin}`;
  await waitUntilHealthy(server, `${adminUrl}/health`);
  return { SERVICE_PORT: String(service), INGRESS_URL: `http://127.0.0.1:${ingress}`, ADMIN_URL: adminUrl };
}

const waitUntilHealthy = (program: ManagedProcess, url: string): Promise<true> =>
  waitUntilReady(program, async () => ((await fetch(url)).ok ? true : undefined), {
    description: `readiness of ${program.name}`,
    timeoutMs: 60_000,
  });

async function send(method: 'GET' | 'POST', url: string, body?: unknown): Promise<unknown> {
  const response = await request(url, {
    method,
    headersTimeout: 0,
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.body.text();
  if (response.statusCode >= 300) throw new Error(`${url} returned ${response.statusCode}: ${text}`);
  return JSON.parse(text);
}
