import { createProcessContext } from '../terminal/command.js';
import { runLogs } from './run-logs.js';

/** `npm run logs -- <id>`: runs `runLogs` as a process. */
process.exit(await runLogs(process.argv.slice(2), createProcessContext()));
