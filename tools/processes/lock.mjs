/**
 * Locks between processes of one machine. This module is plain JavaScript, because tools/run.mjs needs a lock before
 * the dependencies are installed. The types are in lock.d.mts.
 */
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { readFileSync, rmSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const retryDelayMs = 250;
const staleRemovalMs = 10_000;

export class LockHeldError extends Error {
  constructor(file, pid) {
    super(`process ${pid} holds ${file}`);
    this.name = 'LockHeldError';
    this.ownerPid = pid;
  }
}

export async function acquireLock(file) {
  await mkdir(dirname(file), { recursive: true });
  const mine = JSON.stringify({ ...identifyProcess(process.pid), id: randomUUID() });
  // A hard link creates the lock file together with its content, so no process sees a lock without an owner.
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, mine);
  try {
    for (;;) {
      try {
        await link(draft, file);
        break;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const found = await readFile(file, 'utf8').catch(() => undefined);
      if (found === undefined) continue;
      const owner = parseOwner(found);
      if (owner && isRunning(owner)) throw new LockHeldError(file, owner.pid);
      await removeStaleLock(file, found, draft);
    }
  } finally {
    await rm(draft, { force: true });
  }
  const release = () => {
    process.off('exit', release);
    try {
      if (readFileSync(file, 'utf8') === mine) rmSync(file, { force: true });
    } catch {
      // The folder was removed, so there is nothing to release.
    }
  };
  process.on('exit', release);
  return release;
}

export async function findLockOwner(file) {
  const owner = parseOwner(await readFile(file, 'utf8').catch(() => ''));
  return owner && isRunning(owner) ? owner.pid : undefined;
}

export async function withLock(file, work, onWait = () => {}) {
  let release;
  for (let hasReported = false; !release;) {
    try {
      release = await acquireLock(file);
    } catch (error) {
      if (!(error instanceof LockHeldError)) throw error;
      if (!hasReported) onWait(error.ownerPid);
      hasReported = true;
      await delay(retryDelayMs);
    }
  }
  try {
    return await work();
  } finally {
    release();
  }
}

/**
 * Removes a stale lock. The removal file ensures that only one process at a time removes the lock. Otherwise a second
 * process could remove the new lock of the first process. A removal takes milliseconds, so an old removal file belongs
 * to a killed process.
 */
async function removeStaleLock(file, content, draft) {
  const removal = `${file}.removal`;
  try {
    await link(draft, removal);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    const since = await stat(removal).then(
      ({ ctimeMs }) => Date.now() - ctimeMs,
      () => 0,
    );
    if (since > staleRemovalMs) await rm(removal, { force: true });
    await delay(retryDelayMs / 10);
    return;
  }
  try {
    if ((await readFile(file, 'utf8').catch(() => undefined)) === content) await rm(file, { force: true });
  } finally {
    await rm(removal, { force: true });
  }
}

function parseOwner(content) {
  try {
    const owner = JSON.parse(content);
    return Number.isInteger(owner.pid) ? owner : undefined;
  } catch {
    return undefined;
  }
}

export function identifyProcess(pid) {
  return { pid, started: processStartTime(pid) };
}

export function isRunning({ pid, started }) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH') return false;
  }
  return started === processStartTime(pid);
}

/**
 * Returns the start time of a process, which distinguishes two processes with the same process id. A restarted container
 * reuses process ids immediately.
 */
function processStartTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}:${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return null;
  }
}
