import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { cachedBuild } from '../../../tools/source-build/cached-build.js';
import { buildSources } from '../../../tools/source-build/source-build.js';

describe('cachedBuild', () => {
  let cache: string;
  let buildCount: number;
  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), 'cached-build-'));
    buildCount = 0;
  });
  afterEach(() => rm(cache, { recursive: true }));

  const build = async (folder: string): Promise<void> => {
    buildCount += 1;
    await writeFile(join(folder, 'built.txt'), 'content');
  };

  test('builds once for concurrent and later calls with the same key', async () => {
    const [first, second] = await Promise.all([cachedBuild('a', build, cache), cachedBuild('a', build, cache)]);

    expect(await cachedBuild('a', build, cache)).toBe(first);
    expect(second).toBe(first);
    expect(await readFile(join(first, 'built.txt'), 'utf8')).toBe('content');
    expect(buildCount).toBe(1);
  });

  test('builds again after the folder was deleted', async () => {
    const folder = await cachedBuild('a', build, cache);
    await rm(folder, { recursive: true });

    expect(await cachedBuild('a', build, cache)).toBe(folder);
    expect(await readdir(folder)).toEqual(['built.txt']);
    expect(buildCount).toBe(2);
  });

  test('leaves nothing behind after a failed build, and builds again', async () => {
    const fail = async () => Promise.reject(new Error('a syntax error'));

    await expect(cachedBuild('a', fail, cache)).rejects.toThrow('a syntax error');
    expect(await readdir(cache)).toEqual([]);

    await cachedBuild('a', build, cache);
    expect(await readdir(cache)).toEqual(['a']);
  });

  test('removes builds that were not used for six hours', async () => {
    const hoursAgo = (hours: number) => new Date(Date.now() - hours * 60 * 60_000);
    for (const [name, hours] of [
      ['recent', 5],
      ['old', 7],
    ] as const) {
      await mkdir(join(cache, name));
      await utimes(join(cache, name), hoursAgo(hours), hoursAgo(hours));
    }

    await cachedBuild('new', build, cache);

    expect((await readdir(cache)).sort()).toEqual(['new', 'recent']);
  });
});

test('the sources of this checkout are built where the tests use them', async () => {
  const { folder, workflowBundle } = await buildSources();

  expect([folder, workflowBundle]).toEqual([inject('compiledSource'), inject('workflowBundle')]);
});
