import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { identifyProcess, type ProcessIdentity } from '../processes/lock.mjs';
import type { ProcessName } from './stack.js';

/** The lock file of a data folder. A stack holds the lock from its start until all its processes have stopped. */
export const lockFile = (dataDir: string): string => join(dataDir, 'stack.lock');

/** The file with the addresses of a stack (`StackAddresses`). Exists while the stack accepts orders. */
export const addressesFile = (dataDir: string): string => join(dataDir, 'stack.json');

const pidsFolder = (dataDir: string): string => join(dataDir, 'pids');
const pidFile = (dataDir: string, name: ProcessName): string => join(pidsFolder(dataDir), `${name}.json`);

/** Records which process has this name now. Each restart of the process replaces the file. */
export async function writePidFile(dataDir: string, name: ProcessName, pid: number): Promise<void> {
  const file = pidFile(dataDir, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(identifyProcess(pid)));
}

/** Returns the last process that had this name. The process may have exited since then. */
export async function readPidFile(dataDir: string, name: ProcessName): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(pidFile(dataDir, name), 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

/** Removes the files that exist only while a stack runs, except the lock. */
export async function removeRunFiles(dataDir: string): Promise<void> {
  await rm(addressesFile(dataDir), { force: true });
  await rm(pidsFolder(dataDir), { recursive: true, force: true });
}
