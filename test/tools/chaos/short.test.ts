import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { runUnderFire } from '../../../tools/chaos/run.js';
import { tablesOf } from '../../../tools/chaos/table.js';
import { startProcess, typescript } from '../../../tools/processes/processes.js';
import { silentReport, type Report } from '../../../tools/terminal/report.js';
import { waitUntil } from '../../../tools/processes/wait.js';
import { describeOnDevServer } from '../../support/dev-server.js';

const DEADLINE_MS = 60_000;

describeOnDevServer('a short chaos run', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'faults-test-'));
    // If the test runs as root, PostgreSQL runs as another user, which needs access through this folder.
    await chmod(folder, 0o711);
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** Starts the command with its own folder for all its files. */
  async function command(...args: string[]) {
    const lines: string[] = [];
    const running = await startProcess({
      name: 'faults',
      ...typescript('tools/chaos/main.ts', ...args),
      env: { TMPDIR: folder, DATA_DIR: join(folder, 'data'), WORKFLOW_BUNDLE: inject('workflowBundle') },
      onLine: (line) => lines.push(line),
    });
    return { running, lines };
  }

  /** The files in a folder, except the caches of the TypeScript loader. */
  const leftIn = async (place: string): Promise<string[]> =>
    (await readdir(place)).filter((name) => !/^(tsx-|node-compile-cache)/.test(name));

  test('stops completely and leaves no files after Ctrl-C during a fault', async () => {
    const { running, lines } = await command('--seed', '7', '--seconds', '10');
    await waitUntil(() => lines.find((line) => /^ +[\d.]+ s {2}\S/.test(line)), {
      what: 'the first fault',
      deadlineMs: 2 * DEADLINE_MS,
      giveUp: () => {
        if (lines.some((line) => line.startsWith('Error'))) throw new Error(running.tail());
      },
    });
    running.kill('SIGINT');
    expect((await running.exited).code, lines.join('\n')).toBe(130);
    expect(await leftIn(folder)).toEqual([]);
    const [, apiUrl, temporal] = /API (\S+), Temporal (\S+),/.exec(lines.join('\n'))!;
    for (const url of [apiUrl!, `http://${temporal}`])
      await expect(fetch(url)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  }, 300_000);

  test('fails if an order is terminated, names its workflow and keeps the evidence', async () => {
    let taken: Promise<string> | undefined;
    const report: Report = {
      ...silentReport,
      say(text) {
        const [, address, namespace] = /Temporal (\S+), namespace (\S+)$/.exec(text) ?? [];
        if (address && namespace) taken = takeAnOrder(address, namespace);
      },
    };
    const outcome = await runUnderFire({
      seed: 7,
      seconds: 4,
      server: 'dev',
      report,
      keepIn: join(folder, 'kept'),
      // A client of the terminated order waits in vain.
      answersDeadlineMs: 10_000,
      plan: [{ afterMs: 2_000, fault: { kind: 'cut', link: 'clients to API' } }],
      workflowBundle: inject('workflowBundle'),
    });
    const workflowId = await taken!;
    expect(outcome.recoveries).toHaveLength(1);
    expect(outcome.violations.map((violation) => violation.workflowId)).toEqual(expect.arrayContaining([workflowId]));
    const tables = tablesOf(outcome, 'a machine');
    expect(tables).toContain(`- ${workflowId}: `);
    expect(tables).not.toContain('nothing lost');
    const kept = join(folder, 'kept');
    expect(outcome.keptIn).toBe(kept);
    for (const file of [
      'ledger.json',
      'plan.json',
      'logs/worker.log',
      `histories/${workflowId.replace(':', '-')}.json`,
    ])
      expect([file, existsSync(join(kept, file))]).toEqual([file, true]);
  }, 300_000);
});

/** Terminates the first open order that it finds. */
async function takeAnOrder(address: string, namespace: string): Promise<string> {
  const connection = await Connection.connect({ address });
  const { workflow } = new Client({ connection, namespace });
  try {
    return await waitUntil(
      async () => {
        const query = 'WorkflowType = "order" and ExecutionStatus = "Running"';
        for await (const { workflowId } of workflow.list({ query })) {
          await workflow.getHandle(workflowId).terminate('taken away');
          return workflowId;
        }
        return undefined;
      },
      { what: 'an open order', deadlineMs: DEADLINE_MS },
    );
  } finally {
    await connection.close();
  }
}
