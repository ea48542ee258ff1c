import { projectRoot } from '../settings/environment.js';
import { createProcessContext } from '../terminal/command.js';
import { runKeep } from './run-keep.js';

/** `npm run keep -- <patterns>`: runs `runKeep` as a process. */
process.exit(await runKeep(process.argv.slice(2), { root: projectRoot, ...createProcessContext() }));
