import { createProcessContext } from '../terminal/command.js';
import { runCountActions } from './run-count-actions.js';

/** `npm run count-actions [-- <file> …]`: runs `runCountActions` as a process. */
process.exit(await runCountActions(process.argv.slice(2), createProcessContext()));
