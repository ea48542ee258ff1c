import { loadSettings } from '../settings/settings.js';
import { formatError } from '../terminal/command-line.js';
import { killStackProcess } from './kill-process.js';

/** `npm run kill-worker`: kills the worker of the stack in DATA_DIR. Other stacks and their workers are not affected. */
try {
  const pid = await killStackProcess(loadSettings().dataDir, 'worker');
  console.log(`Killed the worker (process ${pid}) with SIGKILL. The stack restarts it.`);
} catch (error) {
  console.error(formatError(error));
  process.exit(1);
}
