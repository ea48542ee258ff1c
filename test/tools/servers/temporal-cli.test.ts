import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentReporter as report } from '../../../tools/terminal/reporter.js';
import { findTemporalCli } from '../../../tools/servers/programs/temporal-cli.js';
import { findTimeSkippingServer } from '../../../tools/servers/programs/time-skipping-server.js';
import type { ProgramSource } from '../../../tools/servers/programs/program-sources.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'temporal-cli-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function writeProgram(name: string, output: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho '${output}'\n`);
  await chmod(path, 0o755);
  return path;
}

const failingSource = (name: string, reason: string): ProgramSource => ({
  name,
  fix: `a cure for ${name}`,
  find: () => Promise.reject(new Error(reason)),
});
const workingSource = (path: string): ProgramSource => ({
  name: 'open',
  fix: '',
  find: async () => ({ path, version: '1' }),
});

describe('the search for a Temporal CLI', () => {
  test('lists each source that failed, with the reason and the fix', async () => {
    const ways = [
      failingSource('PATH', 'none there'),
      failingSource('a download', 'host unreachable'),
      failingSource('a build', 'no go'),
    ];
    const search = findTemporalCli({
      settings: { cacheDir: folder, temporalCliPath: undefined },
      report,
      sources: ways,
    });
    await expect(search).rejects.toThrow(
      /1\. PATH\n.*none there\n.*a cure for PATH\n2\. a download\n.*unreachable\n.*a cure[^]*3\. a build\n.*no go\n.*a cure/,
    );
  });

  test('uses the first source that works and does not try later sources', async () => {
    const ways = [
      failingSource('PATH', 'none there'),
      workingSource('/the/one'),
      failingSource('a build', 'must not be tried'),
    ];
    const found = await findTemporalCli({
      settings: { cacheDir: folder, temporalCliPath: undefined },
      report,
      sources: ways,
    });
    expect(found).toMatchObject({ path: '/the/one', source: 'open' });
  });

  test('uses the CLI in TEMPORAL_CLI_PATH', async () => {
    const temporalCliPath = await writeProgram('temporal', 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)');
    const found = await findTemporalCli({ settings: { cacheDir: folder, temporalCliPath }, report, sources: [] });
    expect(found).toEqual({ path: temporalCliPath, version: 'server 1.29.1', source: 'TEMPORAL_CLI_PATH' });
  });

  test.each([
    ['is not a Temporal CLI', 'hello', /is not a Temporal CLI:/],
    ['is too old', 'temporal version 1.1.0 (Server 1.25.0, UI 2.30.0)', /server 1\.25\.0; 1\.28 or newer/],
  ])('when TEMPORAL_CLI_PATH %s, fails with the reason and does not try other sources', async (_, output, reason) => {
    const temporalCliPath = await writeProgram('temporal', output);
    const search = findTemporalCli({
      settings: { cacheDir: folder, temporalCliPath },
      report,
      sources: [workingSource('/x')],
    });
    await expect(search).rejects.toThrow(/^TEMPORAL_CLI_PATH: /);
    await expect(search).rejects.toThrow(reason);
  });

  test('reports TEMPORAL_CLI_PATH when the file does not exist', async () => {
    const settings = { cacheDir: folder, temporalCliPath: join(folder, 'nothing') };
    await expect(findTemporalCli({ settings, report, sources: [] })).rejects.toThrow(/^TEMPORAL_CLI_PATH: .*nothing/);
  });
});

describe('the search for a time-skipping server', () => {
  test('lists each source that failed, with the reason and the fix', async () => {
    const ways = [failingSource('a download', 'host unreachable'), failingSource('Maven', 'no java')];
    const settings = { cacheDir: folder, temporalTestServerPath: undefined };
    await expect(findTimeSkippingServer({ settings, report, sources: ways })).rejects.toThrow(
      /time-skipping test server[^]*1\. a download[^]*unreachable[^]*2\. Maven[^]*no java/,
    );
  });

  test('reports TEMPORAL_TEST_SERVER_PATH when the file does not exist', async () => {
    const settings = { cacheDir: folder, temporalTestServerPath: join(folder, 'nothing') };
    await expect(findTimeSkippingServer({ settings, report, sources: [] })).rejects.toThrow(
      /^TEMPORAL_TEST_SERVER_PATH: /,
    );
  });
});
