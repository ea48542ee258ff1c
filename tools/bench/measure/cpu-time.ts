import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

/** The unit of processor time in `/proc`. It is the same on every Linux. */
const TICKS_PER_SECOND = 100;

/**
 * Returns the processor seconds that a process has used. With `family`, includes its children, even exited ones. Linux
 * only.
 */
export async function readCpuSeconds(pid: number, { family = false } = {}): Promise<number> {
  const { own, reaped } = await readCpuTimes(pid);
  if (!family) return own;
  let sum = own + reaped;
  for (const child of await listChildPids(pid)) sum += (await readCpuTimes(child).catch(() => ({ own: 0 }))).own;
  return sum;
}

/** Returns the processor seconds that the whole machine has used. */
export function machineCpuSeconds(): number {
  const busy = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return busy / 1000;
}

async function readCpuTimes(pid: number): Promise<{ own: number; reaped: number; parent: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Skips the program name, which is in parentheses and may contain spaces.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent = 0, , , , , , , , , , user = 0, system = 0, reapedUser = 0, reapedSystem = 0] = fields;
  return { own: (user + system) / TICKS_PER_SECOND, reaped: (reapedUser + reapedSystem) / TICKS_PER_SECOND, parent };
}

async function listChildPids(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(pids.map((each) => readCpuTimes(each).catch(() => ({ parent: 0 }))));
  return pids.filter((_, index) => parents[index]!.parent === pid);
}
