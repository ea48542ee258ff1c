import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, inject } from 'vitest';
import { stringify } from 'yaml';
import { findOnPath, freePort, startProcess, waitUntil } from '../processes.js';
import type { Settings } from '../../../tools/settings/settings.js';

/**
 * Returns the path of Prometheus: PROMETHEUS_PATH, `prometheus` on PATH, or the program that `.ci/run` installed in the
 * cache folder. `promtool` must be in the same folder.
 *
 * @throws with installation instructions when no program is found.
 */
export async function findPrometheus({ cacheDir }: Pick<Settings, 'cacheDir'>): Promise<{ path: string }> {
  const folder = join(cacheDir, 'prometheus');
  const cure = `apt-get download prometheus && dpkg-deb -x prometheus_*.deb ${folder}, or set PROMETHEUS_PATH`;
  const path =
    process.env.PROMETHEUS_PATH ||
    findOnPath('prometheus') ||
    (await executableAt(join(folder, 'usr', 'bin', 'prometheus')));
  if (!path) throw new Error(`Prometheus was not found: ${cure}`);
  if (!(await executableAt(join(dirname(path), 'promtool'))))
    throw new Error(`${path} has no promtool next to it: ${cure}`);
  return { path };
}

/**
 * Like `describe`, for tests that need Prometheus. If Prometheus or the Temporal CLI is missing, the tests are skipped
 * and the title gives the reason.
 */
export function describeWithPrometheus(title: string, define: () => void): void {
  const found = inject('prometheus');
  const cli = inject('temporalCli');
  const missing = 'missing' in found ? found.missing : 'missing' in cli ? cli.missing : undefined;
  if (missing !== undefined) describe.skip(`${title} (skipped: ${missing})`, define);
  else describe(title, define);
}

export function prometheusProgramPath(name: 'prometheus' | 'promtool'): string {
  const found = inject('prometheus');
  if ('missing' in found) throw new Error(found.missing);
  return join(dirname(found.path), name);
}

/** One result of a query: a value and its labels. */
export interface Sample {
  metric: Record<string, string>;
  value: number;
}

export interface Prometheus {
  /** @throws when the expression is invalid, with the error from Prometheus. */
  query: (expression: string) => Promise<Sample[]>;
  /** Returns the alerts that fire. Pending alerts are not included. */
  firingAlerts: () => Promise<{ name: string; labels: Record<string, string> }[]>;
  stop: () => Promise<void>;
}

/** Starts a new Prometheus with this configuration. `stop` deletes its data. */
export async function startPrometheus({ config, rules }: { config: object; rules: object }): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  await writeFile(join(folder, 'rules.yml'), stringify(rules));
  await writeFile(join(folder, 'prometheus.yml'), stringify({ ...config, rule_files: ['rules.yml'] }));
  const address = `127.0.0.1:${await freePort()}`;
  const server = await startProcess({
    name: 'prometheus',
    command: prometheusProgramPath('prometheus'),
    args: [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
    ],
  });
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(10_000) });
    const { data, error } = (await response.json()) as { data?: unknown; error?: string };
    if (!response.ok) throw new Error(error);
    return data;
  };
  let gone = false;
  void server.exited.then(() => (gone = true));
  const isReady = async () => (await fetch(`http://${address}/-/ready`)).ok || undefined;
  await waitUntil(isReady, {
    description: 'Prometheus being ready',
    timeoutMs: 30_000,
    throwIfFailed: () => {
      if (gone) throw new Error(`Prometheus exited:\n${server.lastOutput()}`);
    },
  });
  return {
    async query(expression) {
      const { result } = (await get(`/api/v1/query?query=${encodeURIComponent(expression)}`)) as {
        result: { metric: Record<string, string>; value: [number, string] }[];
      };
      return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
    },
    async firingAlerts() {
      const { alerts } = (await get('/api/v1/alerts')) as {
        alerts: { labels: Record<string, string>; state: string }[];
      };
      return alerts
        .filter(({ state }) => state === 'firing')
        .map(({ labels: { alertname = '', ...labels } }) => ({ name: alertname, labels }));
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const executableAt = (path: string): Promise<string | undefined> =>
  access(path, constants.X_OK).then(
    () => path,
    () => undefined,
  );
