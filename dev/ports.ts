import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { anotherPort, type Problem } from '../src/config.js';
import { listenError, portProblem, type Listener } from '../src/start/ports.js';

/**
 * A port on loopback that nobody uses, for tests that start servers side by side.
 *
 * The kernel does not hand it out again for about a minute: a connection closed from the listening side stays in
 * TIME_WAIT, which keeps the port out of the pool while a server may still be told to listen on it.
 */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  accepted.destroy();
  client.on('error', () => undefined).resume();
  await once(client, 'close');
  server.close();
  await once(server, 'close');
  return port;
}

/** Where the ports that the system hands out begin, so nothing else comes to one of these by itself. */
const handedOutFrom = 32_768;

/** A free port on loopback that fits into 15 bits, for a server that keeps its port in such a place. */
export async function freeLowPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, handedOutFrom);
    const server = createServer().listen({ host: '127.0.0.1', port, exclusive: true });
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** The problems of listeners that would have the same port. */
export function equalPorts(listeners: readonly Listener[]): Problem[] {
  return listeners.flatMap(({ port, portVariable }, index) => {
    const other = listeners.slice(0, index).find((listener) => listener.port === port);
    if (!other) return [];
    const problem = `must differ from ${other.portVariable}, both are ${port}`;
    return [{ name: portVariable, problem, example: String(anotherPort(port)) }];
  });
}

/** The problems of listeners that cannot listen; where the system tells, with the process that has the port. */
export async function takenPorts(listeners: readonly Listener[]): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const listener of listeners) {
    const error = await listenError(listener);
    if (error) problems.push(portProblem(listener, error, await holderOf(listener.port)));
  }
  return problems;
}

/** Reads the kernel's own tables, so it needs no tool; answers nothing on other systems or for other users' processes. */
async function holderOf(port: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const rows = (await readFile(table, 'utf8').catch(() => '')).split('\n').slice(1);
    for (const row of rows) {
      const [, local, , state, , , , , , inode] = row.trim().split(/\s+/);
      const listening = state === '0A';
      if (listening && inode && parseInt(local?.split(':')[1] ?? '', 16) === port) inodes.add(`socket:[${inode}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      if (!inodes.has(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''))) continue;
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
      return `process ${pid}${command ? ` (${command.slice(0, 100)})` : ''}`;
    }
  }
  return undefined;
}
