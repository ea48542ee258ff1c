import { createProcessContext } from '../terminal/command.js';
import { runErase } from './run-erase.js';

/** `npm run erase -- customer <id> [options]`: runs `runErase` as a process. */
process.exit(await runErase(process.argv.slice(2), createProcessContext()));
