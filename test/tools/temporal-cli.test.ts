import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentReport as report } from '../../tools/terminal/report.js';
import { findTemporalCli } from '../../tools/servers/programs/temporal-cli.js';
import { findTimeSkippingServer } from '../../tools/servers/programs/time-skipping-server.js';
import type { Way } from '../../tools/servers/programs/ways.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'temporal-cli-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function aProgram(name: string, output: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho '${output}'\n`);
  await chmod(path, 0o755);
  return path;
}

const closed = (name: string, reason: string): Way => ({
  name,
  cure: `a cure for ${name}`,
  find: () => Promise.reject(new Error(reason)),
});
const open = (path: string): Way => ({ name: 'open', cure: '', find: async () => ({ path, version: '1' }) });

describe('the search for a Temporal CLI', () => {
  test('lists each failed way with its reason and remedy', async () => {
    const ways = [closed('PATH', 'none there'), closed('a download', 'host unreachable'), closed('a build', 'no go')];
    const search = findTemporalCli({ settings: { cacheDir: folder, temporalCliPath: undefined }, report, ways });
    await expect(search).rejects.toThrow(
      /1\. PATH\n.*none there\n.*a cure for PATH\n2\. a download\n.*unreachable\n.*a cure[^]*3\. a build\n.*no go\n.*a cure/,
    );
  });

  test('uses the first way that works and tries no later one', async () => {
    const ways = [closed('PATH', 'none there'), open('/the/one'), closed('a build', 'must not be tried')];
    const found = await findTemporalCli({ settings: { cacheDir: folder, temporalCliPath: undefined }, report, ways });
    expect(found).toMatchObject({ path: '/the/one', way: 'open' });
  });

  test('uses the CLI of TEMPORAL_CLI_PATH', async () => {
    const temporalCliPath = await aProgram('temporal', 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)');
    const found = await findTemporalCli({ settings: { cacheDir: folder, temporalCliPath }, report, ways: [] });
    expect(found).toEqual({ path: temporalCliPath, version: 'server 1.29.1', way: 'TEMPORAL_CLI_PATH' });
  });

  test.each([
    ['is not a Temporal CLI', 'hello', /does not say that it is a Temporal CLI/],
    ['is too old', 'temporal version 1.1.0 (Server 1.25.0, UI 2.30.0)', /server 1\.25\.0; 1\.28 or newer/],
  ])('fails with the reason when TEMPORAL_CLI_PATH %s, and tries nothing else', async (_, output, reason) => {
    const temporalCliPath = await aProgram('temporal', output);
    const search = findTemporalCli({ settings: { cacheDir: folder, temporalCliPath }, report, ways: [open('/x')] });
    await expect(search).rejects.toThrow(/^TEMPORAL_CLI_PATH: /);
    await expect(search).rejects.toThrow(reason);
  });

  test('names TEMPORAL_CLI_PATH when the file does not exist', async () => {
    const settings = { cacheDir: folder, temporalCliPath: join(folder, 'nothing') };
    await expect(findTemporalCli({ settings, report, ways: [] })).rejects.toThrow(/^TEMPORAL_CLI_PATH: .*nothing/);
  });
});

describe('the search for a time-skipping server', () => {
  test('lists each failed way with its reason and remedy', async () => {
    const ways = [closed('a download', 'host unreachable'), closed('Maven', 'no java')];
    const settings = { cacheDir: folder, temporalTestServerPath: undefined };
    await expect(findTimeSkippingServer({ settings, report, ways })).rejects.toThrow(
      /time-skipping test server[^]*1\. a download[^]*unreachable[^]*2\. Maven[^]*no java/,
    );
  });

  test('names TEMPORAL_TEST_SERVER_PATH when the file does not exist', async () => {
    const settings = { cacheDir: folder, temporalTestServerPath: join(folder, 'nothing') };
    await expect(findTimeSkippingServer({ settings, report, ways: [] })).rejects.toThrow(
      /^TEMPORAL_TEST_SERVER_PATH: /,
    );
  });
});
