import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { openConnection } from '../../../src/temporal/connections.js';
import { runChaos } from '../../../tools/chaos/chaos-run.js';
import { renderResult } from '../../../tools/chaos/result-tables.js';
import { silentReporter, type Reporter } from '../../../tools/terminal/reporter.js';
import { startProcess, typescriptCommand, waitUntil } from '../../support/processes.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const DEADLINE_MS = 60_000;

describeOnDevServer('a short chaos run', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'faults-test-'));
    // If the test runs as root, PostgreSQL runs as another user. That user must be able to access files below this
    // folder.
    await chmod(folder, 0o711);
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** Starts the command, which writes all its files below `folder`. */
  async function command(...args: string[]) {
    const lines: string[] = [];
    const running = await startProcess({
      name: 'faults',
      ...typescriptCommand('tools/chaos/main.ts', ...args),
      env: { TMPDIR: folder, DATA_DIR: join(folder, 'data'), WORKFLOW_BUNDLE: inject('workflowBundle') },
      onLine: (line) => lines.push(line),
    });
    return { running, lines };
  }

  /** Returns the files in a folder, without the caches of the TypeScript loader. */
  const filesLeftIn = async (place: string): Promise<string[]> =>
    (await readdir(place)).filter((name) => !/^(tsx-|node-compile-cache)/.test(name));

  test('on Ctrl-C during a fault, stops all processes and deletes all files', async () => {
    const { running, lines } = await command('--seed', '7', '--seconds', '10');
    await waitUntil(() => lines.find((line) => /^ +[\d.]+ s {2}\S/.test(line)), {
      description: 'the first fault',
      timeoutMs: 2 * DEADLINE_MS,
      throwIfFailed: () => {
        if (lines.some((line) => line.startsWith('Error'))) throw new Error(running.lastOutput());
      },
    });
    running.kill('SIGINT');
    expect((await running.exited).code, lines.join('\n')).toBe(130);
    expect(await filesLeftIn(folder)).toEqual([]);
    const [, apiUrl, temporal] = /API (\S+), Temporal (\S+),/.exec(lines.join('\n'))!;
    for (const url of [apiUrl!, `http://${temporal}`])
      await expect(fetch(url)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  }, 300_000);

  test('if an order is terminated, fails with the workflow id and keeps the evidence', async () => {
    let taken: Promise<string> | undefined;
    const report: Reporter = {
      ...silentReporter,
      print(text) {
        const [, address, namespace] = /Temporal (\S+), namespace (\S+)$/.exec(text) ?? [];
        if (address && namespace) taken = terminateAnOpenOrder(address, namespace);
      },
    };
    const outcome = await runChaos({
      seed: 7,
      seconds: 4,
      server: 'dev',
      report,
      artifactsDir: join(folder, 'kept'),
      // The client that placed the terminated order never gets a result, so it stops waiting after this time.
      responseDeadlineMs: 10_000,
      plan: [{ afterMs: 2_000, fault: { kind: 'reset', link: 'clients to API' } }],
      workflowBundle: inject('workflowBundle'),
    });
    const workflowId = await taken!;
    expect(outcome.recoveries).toHaveLength(1);
    expect(outcome.violations.map((violation) => violation.workflowId)).toEqual(expect.arrayContaining([workflowId]));
    const tables = renderResult(outcome, 'a machine');
    expect(tables).toContain(`- ${workflowId}: `);
    expect(tables).not.toContain('nothing lost');
    const kept = join(folder, 'kept');
    expect(outcome.artifactsDir).toBe(kept);
    for (const file of [
      'client-log.json',
      'plan.json',
      'logs/worker.log',
      `histories/${workflowId.replace(':', '-')}.json`,
    ])
      expect([file, existsSync(join(kept, file))]).toEqual([file, true]);
  }, 300_000);
});

/** Terminates an arbitrary open order. */
async function terminateAnOpenOrder(address: string, namespace: string): Promise<string> {
  const connection = await openConnection({ TEMPORAL_ADDRESS: address });
  const { workflow } = new Client({ connection, namespace });
  try {
    return await waitUntil(
      async () => {
        const query = 'WorkflowType = "order" and ExecutionStatus = "Running"';
        for await (const { workflowId } of workflow.list({ query })) {
          await workflow.getHandle(workflowId).terminate('by the test');
          return workflowId;
        }
        return undefined;
      },
      { description: 'an open order', timeoutMs: DEADLINE_MS },
    );
  } finally {
    await connection.close();
  }
}
