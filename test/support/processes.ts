/**
 * Starts, finds and waits for other processes. Tests import these functions from here, so that only this file knows
 * where the developer tools keep them.
 */
export { findOnPath, runCommand } from '../../tools/processes/commands.js';
export { freePort } from '../../tools/processes/ports.js';
export {
  startProcess,
  typescriptCommand,
  type ExitStatus,
  type ManagedProcess,
} from '../../tools/processes/processes.js';
export { waitUntil } from '../../tools/processes/wait.js';
export { projectRoot } from '../../tools/stack/settings/project.js';
export { unsetShellVariables } from '../../tools/stack/settings/application-variables.js';
