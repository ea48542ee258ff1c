import { existsSync } from 'node:fs';
import { findLockOwner, isRunning } from '../processes/lock.mjs';
import { loadSettings } from '../settings/settings.js';
import { formatError } from '../terminal/command-line.js';
import { addressesFile, lockFile, readPidFile } from './data-files.js';

/**
 * `npm run kill-worker`: kills the worker of the stack in DATA_DIR with SIGKILL, as a crash or a lost machine would.
 * Other stacks and their workers are not affected.
 *
 * @throws when no stack runs on DATA_DIR, or when its worker does not run at the moment.
 */
async function killWorker(): Promise<string> {
  const { dataDir } = loadSettings();
  if ((await findLockOwner(lockFile(dataDir))) === undefined)
    throw new Error(`No stack is running on ${dataDir}. Start a stack with "npm start".`);
  // During its start, a stack does not restart processes. It would fail without its worker.
  if (!existsSync(addressesFile(dataDir)))
    throw new Error(`The stack on ${dataDir} is starting or stopping. Try again after "npm start" prints "Ready".`);
  const worker = await readPidFile(dataDir, 'worker');
  if (worker === undefined || !isRunning(worker))
    throw new Error(
      `The worker of the stack on ${dataDir} is not running. Try again after the stack has restarted it.`,
    );
  process.kill(worker.pid, 'SIGKILL');
  return `Killed the worker (process ${worker.pid}) with SIGKILL. The stack restarts it.`;
}

try {
  console.log(await killWorker());
} catch (error) {
  console.error(formatError(error));
  process.exit(1);
}
