import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, inject, test, vi, type TestContext } from 'vitest';
import { silentReporter as report } from '../../../tools/terminal/reporter.js';
import { loadSettings } from '../../../tools/settings/settings.js';
import type { SupervisedProcess } from '../../../tools/processes/supervisor.js';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import { findTemporalCli } from '../../../tools/servers/programs/temporal-cli.js';
import { isAlive, waitForExit } from '../../tools/fixtures/is-alive.js';
import { freePort, startProcess, typescriptCommand, unsetShellVariables, waitUntil } from '../../support/processes.js';

async function needsTemporal({ skip }: TestContext): Promise<void> {
  await findTemporalCli({ settings: loadSettings(), report }).catch((error: unknown) => skip(String(error)));
}

const pidOf = ({ current }: SupervisedProcess): number => current.pid;

const isReady = async (apiUrl: string): Promise<true | undefined> =>
  (await fetch(`${apiUrl}/readyz`)).status === 200 || undefined;

/** Runs `npm run kill-worker` on a data folder. */
async function killWorker(dataDir: string) {
  const command = await startProcess({
    name: 'kill-worker',
    ...typescriptCommand('tools/stack/kill-worker.ts'),
    env: { ...unsetShellVariables, DATA_DIR: dataDir },
  });
  const { code } = await command.exited;
  return { code, output: command.lastOutput() };
}

describe('the development stack', { timeout: 180_000 }, () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('starts, recovers after its worker is killed, and leaves no files or processes behind', async (context) => {
    await needsTemporal(context);
    // Invalid values from the shell. A worker that inherited them would not start.
    vi.stubEnv('WORKER_TASK_QUEUES', 'of-the-shell');
    vi.stubEnv('METRICS_HOST', 'of-the-shell');
    const stack = await startTemporaryStack({ applicationEnv: { WORKFLOW_BUNDLE: inject('workflowBundle') } });
    const { apiUrl, mailboxUrl, workerHealthUrl, metricsUrls } = stack.addresses;
    expect(await isReady(apiUrl)).toBe(true);
    expect(await isReady(workerHealthUrl)).toBe(true);
    expect((await fetch(mailboxUrl!)).status).toBe(200);
    const pages = await Promise.all(metricsUrls.map(async (url) => (await fetch(url)).text()));
    expect(pages).toEqual([
      expect.stringContaining('http_requests_in_flight'),
      expect.stringContaining('temporal_num_pollers'),
      expect.stringContaining('shop_task_queue_approximate_backlog'),
    ]);
    const hasTotals = async () =>
      (await (await fetch(metricsUrls[2]!)).text()).includes('shop_workflows_running{') || undefined;
    await waitUntil(hasTotals, { description: 'the totals in a later scrape', timeoutMs: 30_000 });

    const worker = stack.processes.get('worker')!;
    const first = worker.current.pid;
    const findOtherPids = () => [...stack.processes.values()].filter((part) => part !== worker).map(pidOf);
    const others = findOtherPids();
    expect(await killWorker(stack.dataDir)).toEqual({
      code: 0,
      output: `Killed the worker (process ${first}) with SIGKILL. The stack restarts it.`,
    });
    await waitUntil(() => worker.current.pid !== first || undefined, {
      description: 'another worker',
      timeoutMs: 30_000,
    });
    await waitUntil(() => isReady(workerHealthUrl), { description: 'its readiness', timeoutMs: 30_000 });

    expect(findOtherPids()).toEqual(others);
    const pids = [...stack.processes.values()].map(pidOf);
    expect([...stack.processes.keys()].sort()).toEqual(['api', 'fakes', 'postgres', 'temporal', 'worker']);
    await stack.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(stack.dataDir)).toBe(false);
  });

  test('kill-worker kills nothing and exits with 1 when no stack runs on the data folder', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'stack-test-'));
    try {
      // A stack that was killed leaves its files behind, and its process ids may belong to other processes now.
      const bystander = { pid: process.pid, started: 'before this process' };
      await mkdir(join(dataDir, 'pids'));
      await writeFile(join(dataDir, 'stack.lock'), JSON.stringify(bystander));
      await writeFile(join(dataDir, 'pids', 'worker.json'), JSON.stringify(bystander));
      expect(await killWorker(dataDir)).toEqual({
        code: 1,
        output: `No stack is running on ${dataDir}. Start a stack with "npm start".`,
      });
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  test('reports an invalid variable of the worker or the API before it starts a process', async () => {
    const said: string[] = [];
    const lines = { ...report, print: (line: string) => said.push(line) };
    for (const [application, name] of [
      [{ WORKER_TUNER: 'clever' }, 'WORKER_TUNER'],
      [{ CODEC_ORIGINS: 'everywhere' }, 'CODEC_ORIGINS'],
    ] as const)
      await expect(startTemporaryStack({ applicationEnv: application }, { report: lines })).rejects.toThrow(
        `${name}: must be`,
      );
    expect(said.filter((line) => line.startsWith('['))).toEqual(Array(2).fill(said[0]));
  });

  test('stops all its processes when its parent process is killed with SIGKILL', async (context) => {
    await needsTemporal(context);
    const lines: string[] = [];
    const parent = await startProcess({
      name: 'parent',
      ...typescriptCommand('test/tools/fixtures/stack-process.ts', inject('workflowBundle')),
      onLine: (line) => lines.push(line),
    });
    const started = await waitUntil(() => lines.find((line) => line.startsWith('{')), {
      description: 'the stack',
      timeoutMs: 120_000,
      throwIfFailed: () => {
        if (!isAlive(parent.pid)) throw new Error(parent.lastOutput());
      },
    });
    const { pids, dataDir } = JSON.parse(started) as { pids: number[]; dataDir: string };
    expect(pids).toHaveLength(5);
    expect(pids.every(isAlive)).toBe(true);
    parent.kill('SIGKILL');
    await waitForExit(...pids);
    await rm(dataDir, { recursive: true });
  });

  test('deletes its folder when it cannot create its database', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'stack-test-'));
    vi.stubEnv('TMPDIR', folder);
    const nowhere = `127.0.0.1:${await freePort()}`;
    const cluster = { address: nowhere, databaseUrl: `postgres://postgres@${nowhere}/shop` };
    try {
      await expect(startTemporaryStack({ sharedServers: cluster })).rejects.toThrow('ECONNREFUSED');
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.each([
    ['temporalPort', 'TEMPORAL_PORT'],
    ['smtpPort', 'FAKES_SMTP_PORT'],
  ] as const)('reports the variable of a port in use (%s) and starts nothing', async (setting, variable) => {
    const port = await freePort();
    const { createServer } = await import('node:net');
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await expect(startTemporaryStack({ [setting]: port })).rejects.toThrow(
        new RegExp(`^${variable}: port ${port} on 127.0.0.1 is in use.*\\(example: ${variable}=\\d+\\)$`),
      );
    } finally {
      server.close();
    }
  });
});
