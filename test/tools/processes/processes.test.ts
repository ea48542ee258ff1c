import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  liveProcesses,
  startProcess,
  typescriptCommand,
  type ManagedProcess,
} from '../../../tools/processes/processes.js';
import { isAlive, waitForExit } from '../fixtures/is-alive.js';
import { waitUntil } from '../../support/processes.js';

const nodeCommand = (script: string) => ({ command: process.execPath, args: ['-e', script] });
const RUN_FOREVER = 'setInterval(() => {}, 1000);';

/** Starts a parent process that starts a managed child process. A test can kill the parent. */
async function startParent(...args: string[]): Promise<{ parent: ManagedProcess; child: number }> {
  const lines: string[] = [];
  const parent = await startProcess({
    name: 'parent',
    ...typescriptCommand('test/tools/fixtures/parent-process.ts', ...args),
    onLine: (line) => lines.push(line),
  });
  const child = await waitUntil(() => Number(lines[0]) || undefined, { description: 'the pid', timeoutMs: 20_000 });
  return { parent, child };
}

afterEach(async () => {
  await Promise.all(liveProcesses().map((child) => child.stop(0)));
});

describe('a managed process', { timeout: 40_000 }, () => {
  test('exits when its parent is killed with SIGKILL', async () => {
    const { parent, child } = await startParent();
    expect(isAlive(child)).toBe(true);
    parent.kill('SIGKILL');
    await waitForExit(child);
  });

  test('is killed after the grace period if its parent was killed and the process ignores SIGTERM', async () => {
    const { parent, child } = await startParent('stubborn');
    parent.kill('SIGKILL');
    await waitForExit(child);
  });

  test('on SIGKILL, exits together with its child processes and reports the signal', async () => {
    const lines: string[] = [];
    const child = await startProcess({
      name: 'child',
      ...nodeCommand(`console.log(require('child_process').spawn('sleep', ['1000']).pid); ${RUN_FOREVER}`),
      onLine: (line) => lines.push(line),
    });
    const grandchild = await waitUntil(() => Number(lines[0]) || undefined, {
      description: 'the pid',
      timeoutMs: 10_000,
    });
    expect(child.kill('SIGKILL')).toBe(true);
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await waitForExit(child.pid, grandchild);
    expect(child.kill('SIGKILL')).toBe(false);
  });

  test('exits when its guard process is killed', async () => {
    const child = await startProcess({ name: 'child', ...nodeCommand(RUN_FOREVER) });
    const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => undefined);
    if (!stat) return;
    process.kill(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), 'SIGKILL');
    await child.exited;
    await waitForExit(child.pid);
  });

  test('receives its configured stop signal and can exit with its own code', async () => {
    const ready: string[] = [];
    const child = await startProcess({
      name: 'child',
      ...nodeCommand(
        `process.on('SIGINT', () => { console.log('draining'); process.exit(7) }); console.log('ready'); ${RUN_FOREVER}`,
      ),
      stopSignal: 'SIGINT',
      onLine: (line) => ready.push(line),
    });
    await waitUntil(() => ready[0], { description: 'its first line', timeoutMs: 10_000 });
    expect(await child.stop()).toEqual({ code: 7, signal: null });
    expect(child.lastOutput()).toBe('ready\ndraining');
  });

  test('writes stdout and stderr to the log file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'managed-process-'));
    const logFile = join(folder, 'logs', 'child.log');
    const child = await startProcess({
      name: 'child',
      ...nodeCommand("console.log('out'); console.error('err')"),
      logFile,
    });
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect((await readFile(logFile, 'utf8')).split('\n').sort()).toEqual(['', 'err', 'out']);
    await rm(folder, { recursive: true });
  });

  test('fails to start if its command is missing, with an error that contains the command', async () => {
    await expect(startProcess({ name: 'child', command: '/no/such/program' })).rejects.toThrow(
      /child did not start \(\/no\/such\/program\).*ENOENT/,
    );
  });
});
