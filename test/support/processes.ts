/**
 * Functions that start, find and wait for processes. Tests import them from this file, so that only this file depends
 * on the layout of `tools/`.
 */
export { findOnPath, runCommand } from '../../tools/processes/commands.js';
export { freePort } from '../../tools/processes/ports.js';
export {
  startProcess,
  typescriptCommand,
  type ExitStatus,
  type ManagedProcess,
} from '../../tools/processes/processes.js';
export { waitUntilReady } from '../../tools/processes/readiness.js';
export { waitUntil } from '../../tools/processes/wait.js';
export { projectRoot } from '../../tools/settings/environment.js';
export { unsetShellVariables } from '../../tools/settings/application-variables.js';
