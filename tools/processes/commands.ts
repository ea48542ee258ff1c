import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { startProcess, type ProcessSpec } from './processes.js';
import { inheritedEnvironment } from '../settings/environment.js';

/**
 * Runs a command until it exits and returns its output.
 *
 * @throws when the command fails (with the last lines of its output) or takes longer than `timeoutMs`.
 */
export async function runCommand(spec: ProcessSpec & { timeoutMs: number }): Promise<string> {
  const { timeoutMs, ...rest } = spec;
  const output: string[] = [];
  const running = await startProcess({
    ...rest,
    onLine: (line, stream) => {
      output.push(line);
      spec.onLine?.(line, stream);
    },
  });
  let overdue = false;
  const limit = setTimeout(() => {
    overdue = true;
    void running.stop();
  }, timeoutMs);
  const { code, signal } = await running.exited.finally(() => clearTimeout(limit));
  if (overdue) throw new Error(`${spec.name} took longer than ${timeoutMs / 1000} s and was stopped`);
  if (code === 0) return output.join('\n');
  throw new Error(
    `${spec.name} ended with ${signal ?? `code ${code}`}${output.length ? `:\n${running.lastOutput()}` : ''}`,
  );
}

/** Returns the full path of a command on PATH, or undefined. */
export function findOnPath(command: string, path = inheritedEnvironment()['PATH'] ?? ''): string | undefined {
  const endings = process.platform === 'win32' ? ['.exe', '.cmd'] : [''];
  for (const folder of path.split(delimiter).filter(Boolean))
    for (const ending of endings)
      if (isExecutable(join(folder, command + ending))) return join(folder, command + ending);
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
