import { access, constants } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, inject } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { findOnPath, projectRoot, runCommand } from '../processes.js';
import type { Settings } from '../../../tools/settings/settings.js';

const KUSTOMIZE_VERSION = '5.8.1';
const TIMEOUT_MS = 60_000;

/**
 * Finds a program that renders kustomizations. Tries KUSTOMIZE_PATH, `kustomize` on PATH, the program that `.ci/run`
 * installed in the cache folder, and a `kubectl` with kustomize 5.
 *
 * @throws with installation instructions when none of them works.
 */
export async function findKustomize({ cacheDir }: Pick<Settings, 'cacheDir'>): Promise<{ path: string }> {
  const folder = join(cacheDir, `kustomize-${KUSTOMIZE_VERSION}`);
  const cure = `GOBIN=${folder} go install sigs.k8s.io/kustomize/kustomize/v5@v${KUSTOMIZE_VERSION}, or set KUSTOMIZE_PATH`;
  const path = process.env.KUSTOMIZE_PATH;
  const found = path || findOnPath('kustomize') || (await executableAt(join(folder, 'kustomize')));
  if (found) return { path: found };
  const kubectl = findOnPath('kubectl');
  if (kubectl && (await hasKustomize5(kubectl))) return { path: kubectl };
  throw new Error(`neither kustomize nor a kubectl with kustomize 5 was found: ${cure}`);
}

/**
 * Like `describe`, for tests that need kustomize. If kustomize is missing, the tests are skipped and the title gives
 * the reason.
 */
export function describeWithKustomize(title: string, define: () => void): void {
  const found = inject('kustomize');
  if ('missing' in found) describe.skip(`${title} (skipped: ${found.missing})`, define);
  else describe(title, define);
}

/** Returns the objects of a kustomization in `deploy/kubernetes`. */
export async function renderKustomization<Manifest>(kustomization: string): Promise<Manifest[]> {
  const found = inject('kustomize');
  if ('missing' in found) throw new Error(found.missing);
  const output = await runCommand({
    name: 'kustomize',
    command: found.path,
    args: [
      basename(found.path).startsWith('kubectl') ? 'kustomize' : 'build',
      join(projectRoot, 'deploy/kubernetes', kustomization),
    ],
    timeoutMs: TIMEOUT_MS,
  });
  return parseAllDocuments(output).map((document) => document.toJS() as Manifest);
}

async function hasKustomize5(kubectl: string): Promise<boolean> {
  const output = await runCommand({
    name: 'kubectl',
    command: kubectl,
    args: ['version', '--client', '--output=json'],
    timeoutMs: TIMEOUT_MS,
  }).catch(() => '');
  return /"kustomizeVersion": "v5\./.test(output);
}

const executableAt = (path: string): Promise<string | undefined> =>
  access(path, constants.X_OK).then(
    () => path,
    () => undefined,
  );
