import { afterEach, describe, expect, test } from 'vitest';
import { liveProcesses } from '../../../tools/processes/processes.js';
import type { Reporter } from '../../../tools/terminal/reporter.js';
import { supervise } from '../../../tools/processes/supervisor.js';
import { startProcess, waitUntil } from '../../support/processes.js';

afterEach(async () => {
  await Promise.all(liveProcesses().map((child) => child.stop(0)));
});

function startSupervised({ script = 'setInterval(() => {}, 1000)', mayRestart = true } = {}) {
  const said: string[] = [];
  const failures: Error[] = [];
  const report: Reporter = { print: (text) => said.push(text), withProgress: (_label, work) => work() };
  const start = () => startProcess({ name: 'worker', command: process.execPath, args: ['-e', script] });
  const part = supervise({
    name: 'worker',
    start,
    mayRestart: () => mayRestart,
    report,
    onFailure: (error) => failures.push(error),
  });
  return { part, said, failures };
}

describe('the supervisor', { timeout: 60_000 }, () => {
  test('reports a process that was killed, and restarts it', async () => {
    const { part: starting, said } = startSupervised();
    const part = await starting;
    const first = part.current.pid;
    part.current.kill('SIGKILL');
    await waitUntil(() => part.current.pid !== first || undefined, {
      description: 'another process',
      timeoutMs: 20_000,
    });
    expect(said).toEqual(['worker ended by SIGKILL; starting it again']);
    await part.stop();
  });

  test('stops restarting a process that exits repeatedly, and prints its last lines', async () => {
    const { part, said, failures } = startSupervised({ script: "console.error('no configuration'); process.exit(3)" });
    await part;
    const [error] = await waitUntil(() => (failures.length ? failures : undefined), {
      description: 'giving up',
      timeoutMs: 40_000,
    });
    expect(said).toHaveLength(5);
    expect(error?.message).toMatch(/worker ended 6 times within a minute.*code 3[^]*no configuration/);
  });

  test('tries again when a restart fails', async () => {
    const said: string[] = [];
    let starts = 0;
    const part = await supervise({
      name: 'postgres',
      start: () => {
        if (++starts === 2) return Promise.reject(new Error('its memory is still in use'));
        return startProcess({
          name: 'postgres',
          command: process.execPath,
          args: ['-e', 'setInterval(() => {}, 1000)'],
        });
      },
      mayRestart: () => true,
      report: { print: (text) => said.push(text), withProgress: (_label, work) => work() },
      onFailure: (error) => said.push(`failed: ${error.message}`),
    });
    const first = part.current.pid;
    part.current.kill('SIGKILL');
    await waitUntil(() => part.current.pid !== first || undefined, {
      description: 'another process',
      timeoutMs: 20_000,
    });
    expect(said).toEqual([
      'postgres ended by SIGKILL; starting it again',
      'its memory is still in use; starting it again',
    ]);
    await part.stop();
  });

  test('restarts a process on request without a report, also after the process has failed', async () => {
    const { part: starting, said } = startSupervised();
    const part = await starting;
    const first = part.current.pid;
    await part.restart();
    await waitUntil(() => (part.current.pid === first ? undefined : part.current.pid), {
      description: 'another process',
      timeoutMs: 20_000,
    });
    expect(said).toEqual([]);
    await part.stop();

    const { part: failing, failures } = startSupervised({ mayRestart: false });
    const failed = await failing;
    const killed = failed.current.pid;
    failed.current.kill('SIGKILL');
    await waitUntil(() => failures[0], { description: 'the failure', timeoutMs: 20_000 });
    await failed.restart();
    expect(failed.current.pid).not.toBe(killed);
    expect(failed.current.kill('SIGKILL')).toBe(true);
    await waitUntil(() => failures[1], { description: 'the failure of the new process', timeoutMs: 20_000 });
  });

  test('fails immediately when a process must not restart', async () => {
    const { part, said, failures } = startSupervised({ script: 'process.exit(3)', mayRestart: false });
    await part;
    await waitUntil(() => failures.length || undefined, { description: 'the failure', timeoutMs: 20_000 });
    expect(failures[0]?.message).toMatch(/worker ended with code 3/);
    expect(said).toEqual([]);
  });

  test('does not report a requested stop as a failure', async () => {
    const { part, said, failures } = startSupervised();
    await (await part).stop();
    expect([said, failures]).toEqual([[], []]);
  });
});
