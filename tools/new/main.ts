import { projectRoot } from '../settings/environment.js';
import { createProcessContext } from '../terminal/command.js';
import { runNew } from './run-new.js';

/** `npm run new -- <kind> <name>`: runs `runNew` as a process. */
process.exit(await runNew(process.argv.slice(2), { root: projectRoot, ...createProcessContext() }));
