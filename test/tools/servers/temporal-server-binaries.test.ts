import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentReporter as report } from '../../../tools/terminal/reporter.js';
import { findTemporalServerBinaries } from '../../../tools/servers/programs/temporal-server-binaries.js';
import type { ProgramSource } from '../../../tools/servers/programs/program-sources.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'temporal-programs-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function writePrograms({ server, sqlTool }: { server?: string; sqlTool?: string }): Promise<void> {
  const outputs = { 'temporal-server': server, 'temporal-sql-tool': sqlTool };
  for (const [name, output] of Object.entries(outputs)) {
    if (output === undefined) continue;
    await writeFile(join(folder, name), `#!/bin/sh\necho '${output}'\n`);
    await chmod(join(folder, name), 0o755);
  }
}

const find = (temporalServerPath: string | undefined, ways: readonly ProgramSource[] = []) =>
  findTemporalServerBinaries({ settings: { cacheDir: folder, temporalServerPath }, report, sources: ways });

describe('the search for the programs of the full Temporal server', () => {
  test('uses both programs in the folder TEMPORAL_SERVER_PATH', async () => {
    await writePrograms({ server: 'temporal version 1.32.0', sqlTool: 'temporal-sql-tool version 1.32.0' });
    expect(await find(folder)).toEqual({
      serverPath: join(folder, 'temporal-server'),
      sqlToolPath: join(folder, 'temporal-sql-tool'),
      version: '1.32.0',
      source: 'TEMPORAL_SERVER_PATH',
    });
  });

  test.each([
    ['has no server', { sqlTool: 'temporal-sql-tool version 1.32.0' }, /temporal-server/],
    ['has no schema tool', { server: 'temporal version 1.32.0' }, /temporal-sql-tool/],
    ['has other programs', { server: 'hello', sqlTool: 'hello' }, /does not print its version: hello/],
    [
      'has a schema tool of a different version',
      { server: 'temporal version 1.32.0', sqlTool: 'temporal-sql-tool version 1.31.5' },
      /server 1\.32\.0 and schema tool 1\.31\.5/,
    ],
    [
      'has programs that are too old',
      { server: 'temporal version 1.29.4', sqlTool: 'temporal-sql-tool version 1.29.4' },
      /server 1\.29\.4; 1\.30 or newer/,
    ],
  ])(
    'when the folder TEMPORAL_SERVER_PATH %s, fails with the reason and does not try other sources',
    async (_, outputs, reason) => {
      await writePrograms(outputs);
      const open: ProgramSource = { name: 'open', fix: '', find: async () => ({ path: '/x', version: '1' }) };
      await expect(find(folder, [open])).rejects.toThrow(/^TEMPORAL_SERVER_PATH: /);
      await expect(find(folder, [open])).rejects.toThrow(reason);
    },
  );

  test('lists each source that failed, with the reason and the fix', async () => {
    const closed: ProgramSource = {
      name: 'a build',
      fix: 'install Go',
      find: () => Promise.reject(new Error('no go')),
    };
    await expect(find(undefined, [closed])).rejects.toThrow(/Temporal server[^]*1\. a build\n.*no go\n.*install Go/);
  });
});
