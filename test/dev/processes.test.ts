import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { liveProcesses, startProcess, typescript, type ManagedProcess } from '../../dev/processes.js';
import { waitUntil } from '../../dev/wait.js';
import { isAlive, untilGone } from './fixtures/alive.js';

const node = (script: string) => ({ command: process.execPath, args: ['-e', script] });
const stay = 'setInterval(() => {}, 1000);';

/** A parent that was started like any program, so that it can die like any program. */
async function aParent(...args: string[]): Promise<{ parent: ManagedProcess; child: number }> {
  const lines: string[] = [];
  const parent = await startProcess({
    name: 'parent',
    ...typescript('test/dev/fixtures/parent.ts', ...args),
    onLine: (line) => lines.push(line),
  });
  const child = await waitUntil(() => Number(lines[0]) || undefined, { what: 'the pid', deadlineMs: 20_000 });
  return { parent, child };
}

afterEach(async () => {
  await Promise.all(liveProcesses().map((child) => child.stop(0)));
});

describe('a managed process', { timeout: 40_000 }, () => {
  it('when its parent is killed with SIGKILL, then it ends too', async () => {
    const { parent, child } = await aParent();
    expect(isAlive(child)).toBe(true);
    parent.kill('SIGKILL');
    await untilGone(child);
  });

  it('when its parent is killed and it ignores SIGTERM, then it is killed after the grace time', async () => {
    const { parent, child } = await aParent('stubborn');
    parent.kill('SIGKILL');
    await untilGone(child);
  });

  it('when it is killed, then it is gone with its own children and the exit tells the signal', async () => {
    const lines: string[] = [];
    const child = await startProcess({
      name: 'child',
      ...node(`console.log(require('child_process').spawn('sleep', ['1000']).pid); ${stay}`),
      onLine: (line) => lines.push(line),
    });
    const grandchild = await waitUntil(() => Number(lines[0]) || undefined, { what: 'the pid', deadlineMs: 10_000 });
    expect(child.kill('SIGKILL')).toBe(true);
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await untilGone(child.pid, grandchild);
    expect(child.kill('SIGKILL')).toBe(false);
  });

  it('when its guard is killed, then it does not stay behind', async () => {
    const child = await startProcess({ name: 'child', ...node(stay) });
    const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => undefined);
    if (!stat) return;
    process.kill(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), 'SIGKILL');
    await child.exited;
    await untilGone(child.pid);
  });

  it('when it is stopped, then it gets its own signal first and may end in its own way', async () => {
    const ready: string[] = [];
    const child = await startProcess({
      name: 'child',
      ...node(
        `process.on('SIGINT', () => { console.log('draining'); process.exit(7) }); console.log('ready'); ${stay}`,
      ),
      stopSignal: 'SIGINT',
      onLine: (line) => ready.push(line),
    });
    await waitUntil(() => ready[0], { what: 'its first line', deadlineMs: 10_000 });
    expect(await child.stop()).toEqual({ code: 7, signal: null });
    expect(child.tail()).toBe('ready\ndraining');
  });

  it('when it prints, then the log file holds what both streams said', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'managed-process-'));
    const logFile = join(folder, 'logs', 'child.log');
    const child = await startProcess({ name: 'child', ...node("console.log('out'); console.error('err')"), logFile });
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect((await readFile(logFile, 'utf8')).split('\n').sort()).toEqual(['', 'err', 'out']);
    await rm(folder, { recursive: true });
  });

  it('when the command does not exist, then the start fails and names it', async () => {
    await expect(startProcess({ name: 'child', command: '/no/such/program' })).rejects.toThrow(
      /child could not be started \(\/no\/such\/program\).*ENOENT/,
    );
  });
});
