import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentReport as report } from '../../dev/report.js';
import { findTemporalPrograms } from '../../dev/temporal-programs.js';
import type { Way } from '../../dev/ways.js';

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
  it('when TEMPORAL_SERVER_PATH names a folder with both, then those are taken', async () => {
    await programs({ server: 'temporal version 1.32.0', sqlTool: 'temporal-sql-tool version 1.32.0' });
    expect(await find(folder)).toEqual({
      server: join(folder, 'temporal-server'),
      sqlTool: join(folder, 'temporal-sql-tool'),
      version: '1.32.0',
      way: 'TEMPORAL_SERVER_PATH',
    });
  });

  it.each([
    ['has no server', { sqlTool: 'temporal-sql-tool version 1.32.0' }, /temporal-server/],
    ['has no schema tool', { server: 'temporal version 1.32.0' }, /temporal-sql-tool/],
    ['has something else', { server: 'hello', sqlTool: 'hello' }, /does not say its version: hello/],
    [
      'has a schema tool of another version',
      { server: 'temporal version 1.32.0', sqlTool: 'temporal-sql-tool version 1.31.5' },
      /a server 1\.32\.0 and a schema tool 1\.31\.5/,
    ],
    [
      'has one that is too old',
      { server: 'temporal version 1.29.4', sqlTool: 'temporal-sql-tool version 1.29.4' },
      /server 1\.29\.4; 1\.30 or newer/,
    ],
  ])('when that folder %s, then nothing else is tried and the error says why', async (_, outputs, reason) => {
    await programs(outputs);
    const open: Way = { name: 'open', cure: '', find: async () => ({ path: '/x', version: '1' }) };
    await expect(find(folder, [open])).rejects.toThrow(/^TEMPORAL_SERVER_PATH: /);
    await expect(find(folder, [open])).rejects.toThrow(reason);
  });

  it('when no way works, then the error lists each with its reason and its cure', async () => {
    const closed: Way = { name: 'a build', cure: 'install Go', find: () => Promise.reject(new Error('no go')) };
    await expect(find(undefined, [closed])).rejects.toThrow(/Temporal server[^]*1\. a build\n.*no go\n.*install Go/);
  });
});
