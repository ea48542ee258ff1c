import { execFile } from 'node:child_process';
import { temporalCliPath, type DevServer } from './dev-server.js';

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the `temporal` program against a server, as an operator does. Ignores the Temporal settings of this machine. */
export async function runTemporalCli(
  { address, namespace }: Pick<DevServer, 'address' | 'namespace'>,
  ...args: string[]
): Promise<CommandResult> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_')));
  const where = ['--address', address, '--namespace', namespace, '--disable-config-file', '--command-timeout', '20s'];
  return await new Promise((resolve) => {
    execFile(temporalCliPath(), [...args, ...where], { env, timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}
