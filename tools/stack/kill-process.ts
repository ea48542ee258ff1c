import { existsSync } from 'node:fs';
import { findLockOwner, isRunning } from '../processes/lock.mjs';
import { addressesFile, lockFile, readPidFile } from './data-files.js';

/** The processes of a stack that can be killed, because the stack restarts them and their state survives. */
export const KILLABLE_PROCESSES = ['worker', 'api', 'temporal', 'postgres'] as const;

export type KillableProcess = (typeof KILLABLE_PROCESSES)[number];

export const PROCESS_LABELS: Record<KillableProcess, string> = {
  worker: 'the worker',
  api: 'the API',
  temporal: 'Temporal',
  postgres: 'PostgreSQL',
};

/**
 * Returns the process id of a process of the stack in this folder. Undefined if the stack does not run this process, or
 * is restarting it.
 */
export async function findStackProcess(dataDir: string, name: KillableProcess): Promise<number | undefined> {
  const found = await readPidFile(dataDir, name);
  return found && isRunning(found) ? found.pid : undefined;
}

/**
 * Kills a process of the stack in this folder with SIGKILL, as a crash or a lost machine would. Returns its process id.
 *
 * @throws when no stack runs on the folder, or when the process does not run at the moment.
 */
export async function killStackProcess(dataDir: string, name: KillableProcess): Promise<number> {
  if ((await findLockOwner(lockFile(dataDir))) === undefined)
    throw new Error(`No stack is running on ${dataDir}. Start a stack with "npm start".`);
  // During its start, a stack does not restart processes. It would fail without this process.
  if (!existsSync(addressesFile(dataDir)))
    throw new Error(`The stack on ${dataDir} is starting or stopping. Try again after "npm start" prints "Ready".`);
  const pid = await findStackProcess(dataDir, name);
  if (pid === undefined) {
    const label = PROCESS_LABELS[name];
    throw new Error(
      `${label[0]!.toUpperCase()}${label.slice(1)} of the stack on ${dataDir} is not running. Try again after the stack has restarted it.`,
    );
  }
  process.kill(pid, 'SIGKILL');
  return pid;
}
