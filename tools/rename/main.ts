import { createProcessContext } from '../terminal/command.js';
import { runRename } from './run-rename.js';

/** `npm run rename -- <name>`: runs `runRename` as a process. */
process.exit(await runRename(process.argv.slice(2), process.cwd(), createProcessContext()));
