import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findOnPath, runCommand } from '../processes/commands.js';
import { startProcess, type ManagedProcess, type ProcessSpec } from '../processes/processes.js';
import { waitUntil } from '../processes/wait.js';

/** A container engine that the tests may use. */
export interface ContainerEngine {
  readonly description: string;
  /** Whether this process started the engine and removes its images. */
  readonly isPrivate: boolean;
  /** Environment variables with which the client reaches the engine. */
  readonly env: Record<string, string>;
  /** Runs a command of the client and returns its standard output. */
  docker(args: readonly string[], timeoutMs?: number): Promise<string>;
  /** Returns the last lines of a container's output. */
  readLogs(container: string, lines: number): Promise<string>;
  /**
   * Kills all processes of a container. `docker kill` would count as a stop by the user, after which the engine does not
   * restart the container.
   */
  crash(container: string): Promise<void>;
  /** Stops the engine, if this process started it, and removes all its data. */
  stop(): Promise<void>;
}

/** Thrown when no engine runs and none can be started. The message contains the reason and a fix. */
export class NoEngineError extends Error {
  override readonly name = 'NoEngineError';
}

/** The name of the process of a private engine. */
export const ENGINE_PROCESS = 'dockerd';

const probeTimeoutMs = 20_000;
const startTimeoutMs = 60_000;
const commandTimeoutMs = 5 * 60_000;
/** The engine first stops its containers. */
const stopGraceMs = 60_000;

/**
 * Connects to the engine of this machine. If no engine runs, and the user is root, starts a private engine, which keeps
 * all its data in `folder`.
 *
 * @throws NoEngineError when no engine runs and none can be started.
 */
export async function findEngine(folder: string): Promise<ContainerEngine> {
  const docker = findOnPath('docker');
  const running = docker && (await readServerVersion(docker, {}).catch(() => undefined));
  if (docker && running)
    return { description: `Docker Engine ${running}`, isPrivate: false, ...connect(docker, {}), stop: async () => {} };

  const dockerd = findOnPath('dockerd');
  const fix = 'start Docker, or install it (Debian, as root: apt-get install docker.io iptables)';
  if (!docker || !dockerd) throw new NoEngineError(`no container engine runs on this machine\n  fix: ${fix}`);
  if (process.getuid?.() !== 0)
    throw new NoEngineError(
      `no container engine runs, and only root can start one\n  fix: start Docker, or run as root`,
    );
  return startPrivateEngine(docker, dockerd, folder);
}

async function startPrivateEngine(docker: string, dockerd: string, folder: string): Promise<ContainerEngine> {
  const socket = `unix://${join(folder, 'docker.sock')}`;
  const config = join(folder, 'daemon.json');
  await writeFile(
    config,
    JSON.stringify({
      'data-root': join(folder, 'data'),
      'exec-root': join(folder, 'exec'),
      pidfile: join(folder, 'dockerd.pid'),
      hosts: [socket],
      'storage-driver': 'overlay2',
      // The default lowers the score, which needs a capability that root lacks in a container.
      'oom-score-adjust': 0,
    }),
  );
  const network = await saveNetwork();
  const daemon = await startProcess({
    name: ENGINE_PROCESS,
    command: dockerd,
    args: ['--config-file', config],
    graceMs: stopGraceMs,
    logFile: join(folder, 'dockerd.log'),
  });
  const stop = async (): Promise<void> => {
    await daemon.stop(stopGraceMs);
    await network.restore();
    await rm(folder, { recursive: true, force: true });
  };
  const env = { DOCKER_HOST: socket };
  try {
    const version = await waitForServer(docker, env, daemon);
    return { description: `a private Docker Engine ${version}`, isPrivate: true, ...connect(docker, env), stop };
  } catch (error) {
    const output = daemon.lastOutput().split('\n').slice(-5).join('\n  ');
    await stop();
    throw new NoEngineError(
      `dockerd did not start: ${(error as Error).message}\n  ${output}\n  fix: start Docker on this machine`,
    );
  }
}

async function waitForServer(docker: string, env: Record<string, string>, daemon: ManagedProcess): Promise<string> {
  let exited = false;
  void daemon.exited.then(() => (exited = true));
  return waitUntil(() => readServerVersion(docker, env), {
    description: 'the engine',
    timeoutMs: startTimeoutMs,
    intervalMs: 250,
    throwIfFailed: () => {
      if (exited) throw new Error('it exited');
    },
  });
}

/** The engine adds a bridge and firewall rules, and leaves them when it stops. */
async function saveNetwork(): Promise<{ restore(): Promise<void> }> {
  const hadBridge = existsSync('/sys/class/net/docker0');
  const rules = await runSystemCommand('iptables-save').catch(() => undefined);
  return {
    async restore() {
      if (hadBridge) return;
      await runSystemCommand('ip', 'link', 'delete', 'docker0').catch(() => undefined);
      if (rules !== undefined) await restoreRules(rules).catch(() => undefined);
    },
  };
}

async function restoreRules(rules: string): Promise<void> {
  // `iptables-restore` replaces only the tables that it reads, and the engine uses these two.
  const empty = ['filter', 'nat'].filter((table) => !rules.includes(`*${table}`)).map((table) => `*${table}\nCOMMIT\n`);
  const file = `/run/firewall-rules-${process.pid}`;
  await writeFile(file, `${rules}\n${empty.join('')}`);
  await runSystemCommand('iptables-restore', file).finally(() => rm(file));
}

const runSystemCommand = (command: string, ...args: string[]): Promise<string> =>
  runCommand({ name: command, command, args, timeoutMs: probeTimeoutMs });

const readServerVersion = (docker: string, env: Record<string, string>): Promise<string> =>
  connect(docker, env).docker(['version', '--format', '{{.Server.Version}}'], probeTimeoutMs);

function connect(
  command: string,
  env: Record<string, string>,
): Pick<ContainerEngine, 'env' | 'docker' | 'readLogs' | 'crash'> {
  const run = (args: readonly string[], timeoutMs: number, onLine?: ProcessSpec['onLine']) =>
    runCommand({ name: `docker ${args[0]}`, command, args, env, timeoutMs, ...(onLine && { onLine }) });
  const docker = async (args: readonly string[], timeoutMs = commandTimeoutMs): Promise<string> => {
    const output: string[] = [];
    await run(args, timeoutMs, (line, stream) => void (stream === 'stdout' && output.push(line)));
    return output.join('\n');
  };
  return {
    env,
    docker,
    async crash(container) {
      const pid = Number(await docker(['inspect', '--format', '{{.State.Pid}}', container]));
      if (process.getuid?.() === 0 && (await isContainerProcess(pid, container))) process.kill(pid, 'SIGKILL');
      // The engine of another user or of a virtual machine. Process 1 is the init process, which exits after its child.
      else await docker(['exec', container, 'sh', '-c', 'kill -KILL -1']).catch(() => undefined);
    },
    readLogs: (container, lines) => run(['logs', '--tail', String(lines), container], commandTimeoutMs),
  };
}

/** Whether a process of this machine is in a container. The id of the container is in the names of its control groups. */
const isContainerProcess = (pid: number, container: string): Promise<boolean> =>
  readFile(`/proc/${pid}/cgroup`, 'utf8').then(
    (groups) => groups.includes(container),
    () => false,
  );
