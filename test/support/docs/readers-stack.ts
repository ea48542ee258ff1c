import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_PORTS, startNpmStart } from '../npm-start.js';
import { projectRoot, waitUntil } from '../processes.js';
import { temporalCliPath, type DevServer } from '../temporal/dev-server.js';
import { openReaderShell, type ReaderShell } from './reader-shell.js';

const START_TIMEOUT_MS = 180_000;

/** The stack of a reader who has typed `npm start` in another terminal. */
export interface ReadersStack extends ReaderShell {
  /** The output of `npm start`, with the ports in the pages. */
  startOutput: string;
}

interface ReadersStackOptions {
  /** The workflow bundle of the worker. By default, the worker bundles its workflows. */
  workflowBundle?: string;
  /** The folder of the project that the reader runs. Default: this project. */
  folder?: string;
  /** A Temporal server that already runs. By default, `npm start` starts a dev server. */
  temporal?: Pick<DevServer, 'address' | 'namespace'>;
}

/**
 * Runs `npm start` on free ports with a new data folder, and opens a shell. The shell replaces the ports in the code
 * with the ports of the stack, and the ports of the stack in the output with the ports in the code.
 */
export async function startReadersStack({
  workflowBundle,
  folder = projectRoot,
  temporal,
}: ReadersStackOptions): Promise<ReadersStack> {
  const dataDir = await mkdtemp(join(tmpdir(), 'readers-stack-'));
  // When this process is root, PostgreSQL runs as another user, who must be able to enter this folder.
  await chmod(dataDir, 0o711);
  // A reader who has typed `npm start` has this folder. Some commands write files to it, because Git ignores it.
  await mkdir(join(folder, '.data'), { recursive: true });
  const {
    process: npmStart,
    lines,
    ports: ownPorts,
  } = await startNpmStart(
    {
      DATA_DIR: dataDir,
      TEMPORAL_CLI_PATH: temporalCliPath(),
      ...(workflowBundle !== undefined && { WORKFLOW_BUNDLE: workflowBundle }),
      ...(temporal && { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace }),
    },
    folder,
  );
  const ports = {
    ...ownPorts,
    ...(temporal && { TEMPORAL_PORT: Number(temporal.address.split(':')[1]) }),
  };
  const pairs = Object.entries(ports).map(
    ([variable, actual]) => [DEFAULT_PORTS[variable as keyof typeof DEFAULT_PORTS], actual] as const,
  );
  const toActual = portReplacer(new Map(pairs));
  const toShown = portReplacer(new Map(pairs.map(([shown, actual]) => [actual, shown])));
  let exited = false;
  void npmStart.exited.then(() => (exited = true));
  const stop = async (): Promise<void> => {
    await npmStart.stop(60_000);
    await rm(dataDir, { recursive: true, force: true });
  };

  try {
    await waitUntil(() => lines.find((line) => line.includes('Ctrl-C stops')), {
      description: 'the end of the output of "npm start"',
      timeoutMs: START_TIMEOUT_MS,
      throwIfFailed: () => {
        if (exited) throw new Error(`"npm start" failed:\n${lines.join('\n')}`);
      },
    });
    const address = toActual('127.0.0.1:7233');
    const shell = await openReaderShell({
      env: { ...process.env, DATA_DIR: dataDir },
      folder,
      prelude: `temporal() { TEMPORAL_ADDRESS=${address} TEMPORAL_NAMESPACE=${temporal?.namespace ?? 'default'} '${temporalCliPath()}' --disable-config-file "$@"; }`,
    });
    return {
      startOutput: toShown(lines.join('\n')),
      async run(code) {
        const { output, succeeded } = await shell.run(toActual(code));
        return { output: toShown(output), succeeded };
      },
      async close() {
        await shell.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Returns a function that replaces local ports in a text. */
function portReplacer(ports: ReadonlyMap<number, number>): (text: string) => string {
  return (text) =>
    text.replaceAll(/\b(127\.0\.0\.1|localhost):(\d+)\b/g, (_, host: string, port: string) => {
      return `${host}:${ports.get(Number(port)) ?? port}`;
    });
}
