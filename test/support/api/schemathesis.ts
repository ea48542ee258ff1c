import { access, constants, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, inject } from 'vitest';
import { findOnPath, projectRoot } from '../processes.js';
import type { Settings } from '../../../tools/settings/settings.js';

/** The folder with the configuration of schemathesis and the pinned version of its packages. */
export const SCHEMATHESIS_FOLDER = join(projectRoot, 'test', 'e2e', 'schemathesis');

/**
 * Returns the path of the schemathesis program `st`: SCHEMATHESIS_PATH, the program that `.ci/run` installed in the
 * cache folder, or `st` on PATH.
 *
 * @throws with installation instructions when the program is not found.
 */
export async function findSchemathesis({ cacheDir }: Pick<Settings, 'cacheDir'>): Promise<{ path: string }> {
  const requirements = await readFile(join(SCHEMATHESIS_FOLDER, 'requirements.txt'), 'utf8');
  const folder = join(cacheDir, requirements.trim().replace('==', '-'));
  const cure = `python3 -m venv ${folder} && ${folder}/bin/pip install -r test/e2e/schemathesis/requirements.txt, or set SCHEMATHESIS_PATH`;
  const configuredPath = process.env.SCHEMATHESIS_PATH;
  const path = configuredPath || (await executableAt(join(folder, 'bin', 'st'))) || findOnPath('st');
  if (!path) throw new Error(`schemathesis was not found: ${cure}`);
  if (!(await executableAt(path)))
    throw new Error(`SCHEMATHESIS_PATH=${configuredPath} is not an executable file: ${cure}`);
  return { path };
}

const executableAt = (path: string): Promise<string | undefined> =>
  access(path, constants.X_OK).then(
    () => path,
    () => undefined,
  );

/**
 * Like `describe`, for tests that need schemathesis. If the program is missing, the tests are skipped and the title
 * gives the reason.
 */
export function describeWithSchemathesis(title: string, define: () => void): void {
  const found = inject('schemathesis');
  if ('missing' in found) describe.skip(`${title} (skipped: ${found.missing})`, define);
  else describe(title, define);
}
