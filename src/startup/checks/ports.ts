import { createServer } from 'node:net';
import { suggestPort } from '../../config/checks.js';
import type { ConfigProblem } from '../../config/errors.js';

/** The address of a listener, and the variables that set the address. */
export interface Listener {
  host: string;
  port: number;
  hostVariable?: string;
  portVariable: string;
}

/** Opens and closes a listener. @returns the error if the address is not available. */
export async function tryListen({ host, port }: Listener): Promise<NodeJS.ErrnoException | undefined> {
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => resolve(undefined));
  });
  if (!error) await new Promise((closed) => server.close(closed));
  return error;
}

/** Describes why a listener failed. `holder` names the process that uses the port. */
export function describeListenError(
  { host, port, hostVariable, portVariable }: Listener,
  error: NodeJS.ErrnoException,
  holder?: string,
): ConfigProblem {
  const portProblem = (problem: string) => ({ name: portVariable, problem, example: String(suggestPort(port)) });
  switch (error.code) {
    case 'EADDRINUSE':
      return portProblem(`port ${port} on ${host} is in use${holder === undefined ? '' : ` by ${holder}`}`);
    case 'EACCES':
      return { ...portProblem(`listening on port ${port} requires more privileges`), example: '3000' };
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      if (hostVariable !== undefined)
        return { name: hostVariable, problem: 'must be an address of this machine', got: host, example: '127.0.0.1' };
  }
  return portProblem(`cannot listen on port ${port} of ${host}: ${error.message}`);
}

/** Returns a problem for each listener that cannot be opened. */
export async function checkPorts(listeners: readonly Listener[]): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  // Checks one listener at a time, because the checks of two listeners on the same address would conflict.
  for (const listener of listeners) {
    const error = await tryListen(listener);
    if (error) problems.push(describeListenError(listener, error));
  }
  return problems;
}
