import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../settings/environment.js';

const ASSETS = 'api/console/assets';

/** Copies the stylesheet and the scripts of the console beside the compiled sources. The compiler does not copy them. */
export const copyConsoleAssets = (compiledSource: string): Promise<void> =>
  cp(join(projectRoot, 'src', ASSETS), join(compiledSource, ASSETS), { recursive: true });
