import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { suggestPort } from '../../src/config/checks.js';
import type { ConfigProblem } from '../../src/config/errors.js';
import { tryListen, describeListenError, type Listener } from '../../src/startup/checks/ports.js';

/**
 * Returns a free port on loopback, for tests that start servers in parallel.
 *
 * Opens and closes a connection on the port, which leaves the port in TIME_WAIT. For about a minute, the kernel does
 * not assign the port to another process, but a server can listen on the port.
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

/** Returns `count` different free ports on loopback. */
export async function freePorts(count: number): Promise<number[]> {
  return await Promise.all(Array.from({ length: count }, () => freePort()));
}

/** The lowest port that the system assigns automatically. */
const ephemeralPortStart = 32_768;

/** Returns a free port below 32,768 on loopback, for a server that stores its port as a signed 16-bit integer. */
export async function freeLowPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, ephemeralPortStart);
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

/** Returns one problem for each listener that has the same port as an earlier listener. */
export function duplicatePortProblems(listeners: readonly Listener[]): ConfigProblem[] {
  return listeners.flatMap(({ port, portVariable }, index) => {
    const other = listeners.slice(0, index).find((listener) => listener.port === port);
    if (!other) return [];
    const problem = `must differ from ${other.portVariable}; both are ${port}`;
    return [{ name: portVariable, problem, example: String(suggestPort(port)) }];
  });
}

/**
 * Returns one problem for each listener that cannot listen. The problem names the process that holds the port, if
 * known.
 */
export async function takenPortProblems(listeners: readonly Listener[]): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const listener of listeners) {
    const error = await tryListen(listener);
    if (error) problems.push(describeListenError(listener, error, await findPortHolder(listener.port)));
  }
  return problems;
}

/**
 * Finds the process that listens on a port, from the tables in `/proc`. Returns undefined on systems other than Linux
 * and for processes of other users.
 */
async function findPortHolder(port: number): Promise<string | undefined> {
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
