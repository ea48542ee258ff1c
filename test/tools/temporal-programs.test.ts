import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentReport as report } from '../../tools/terminal/report.js';
import { findTemporalPrograms } from '../../tools/servers/programs/temporal-programs.js';
import type { Way } from '../../tools/servers/programs/ways.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'temporal-programs-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function programs({ server, sqlTool }: { server?: string; sqlTool?: string }): Promise<void> {
  const outputs = { 'temporal-server': server, 'temporal-sql-tool': sqlTool };
  for (const [name, output] of Object.entries(outputs)) {
    if (output === undefined) continue;
    await writeFile(join(folder, name), `#!/bin/sh\necho '${output}'\n`);
    await chmod(join(folder, name), 0o755);
  }
}

const find = (temporalServerPath: string | undefined, ways: readonly Way[] = []) =>
  findTemporalPrograms({ settings: { cacheDir: folder, temporalServerPath }, report, ways });

describe('the search for the programs of the full Temporal server', () => {
  test('uses both programs of the folder in TEMPORAL_SERVER_PATH', async () => {
    await programs({ server: 'temporal version 1.32.0', sqlTool: 'temporal-sql-tool version 1.32.0' });
    expect(await find(folder)).toEqual({
      server: join(folder, 'temporal-server'),
      sqlTool: join(folder, 'temporal-sql-tool'),
      version: '1.32.0',
      way: 'TEMPORAL_SERVER_PATH',
    });
  });

  test.each([
    ['has no server', { sqlTool: 'temporal-sql-tool version 1.32.0' }, /temporal-server/],
    ['has no schema tool', { server: 'temporal version 1.32.0' }, /temporal-sql-tool/],
    ['has other programs', { server: 'hello', sqlTool: 'hello' }, /does not say its version: hello/],
    [
      'has a schema tool of another version',
      { server: 'temporal version 1.32.0', sqlTool: 'temporal-sql-tool version 1.31.5' },
      /a server 1\.32\.0 and a schema tool 1\.31\.5/,
    ],
    [
      'has programs that are too old',
      { server: 'temporal version 1.29.4', sqlTool: 'temporal-sql-tool version 1.29.4' },
      /server 1\.29\.4; 1\.30 or newer/,
    ],
  ])(
    'fails with the reason when the folder in TEMPORAL_SERVER_PATH %s, and tries nothing else',
    async (_, outputs, reason) => {
      await programs(outputs);
      const open: Way = { name: 'open', cure: '', find: async () => ({ path: '/x', version: '1' }) };
      await expect(find(folder, [open])).rejects.toThrow(/^TEMPORAL_SERVER_PATH: /);
      await expect(find(folder, [open])).rejects.toThrow(reason);
    },
  );

  test('lists each failed way with its reason and remedy', async () => {
    const closed: Way = { name: 'a build', cure: 'install Go', find: () => Promise.reject(new Error('no go')) };
    await expect(find(undefined, [closed])).rejects.toThrow(/Temporal server[^]*1\. a build\n.*no go\n.*install Go/);
  });
});
