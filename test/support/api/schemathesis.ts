import { access, constants, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, inject } from 'vitest';
import { findOnPath, projectRoot } from '../processes.js';
import type { Settings } from '../../../tools/stack/settings/settings.js';

/** The folder with the configuration of schemathesis and its pinned version. */
export const SCHEMATHESIS_FOLDER = join(projectRoot, 'test', 'e2e', 'schemathesis');

/**
 * The path of `st`: SCHEMATHESIS_PATH, the program that `.ci/run` put into the cache folder, or one on PATH.
 *
 * @throws with installation instructions when there is none.
 */
export async function findSchemathesis({ cacheDir }: Pick<Settings, 'cacheDir'>): Promise<{ path: string }> {
  const requirements = await readFile(join(SCHEMATHESIS_FOLDER, 'requirements.txt'), 'utf8');
  const folder = join(cacheDir, requirements.trim().replace('==', '-'));
  const cure = `python3 -m venv ${folder} && ${folder}/bin/pip install -r test/e2e/schemathesis/requirements.txt, or set SCHEMATHESIS_PATH`;
  const configuredPath = process.env.SCHEMATHESIS_PATH;
  const path = configuredPath || (await executableAt(join(folder, 'bin', 'st'))) || findOnPath('st');
  if (!path) throw new Error(`there is no schemathesis: ${cure}`);
  if (!(await executableAt(path))) throw new Error(`SCHEMATHESIS_PATH=${configuredPath} is no program: ${cure}`);
  return { path };
}

const executableAt = (path: string): Promise<string | undefined> =>
  access(path, constants.X_OK).then(
    () => path,
    () => undefined,
  );

/** Like `describe`, for tests with schemathesis. Without it, the tests are skipped and the title says why. */
export function describeWithSchemathesis(title: string, define: () => void): void {
  const found = inject('schemathesis');
  if ('missing' in found) describe.skip(`${title} (skipped: ${found.missing})`, define);
  else describe(title, define);
}
