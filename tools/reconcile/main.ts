import { createProcessContext } from '../terminal/command.js';
import { runReconcile } from './run-reconcile.js';

/** `npm run reconcile -- [options]`: runs `runReconcile` as a process. */
process.exit(await runReconcile(process.argv.slice(2), createProcessContext()));
