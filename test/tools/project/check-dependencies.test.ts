import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkDependencies } from '../../../tools/project/check-dependencies.js';
import { projectRoot } from '../../support/processes.js';

describe('the dependency check', () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'dependencies-'))));
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function checkPackages(manifest: object, packages: Record<string, object>): Promise<void> {
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages }));
    await checkDependencies(folder);
  }
  const good = { version: '1.0.0', integrity: 'sha512-…', license: 'MIT' };

  test('accepts the dependencies of this project', async () => {
    await expect(checkDependencies(projectRoot)).resolves.toBeUndefined();
  });

  test.each<[string, object, Record<string, object>, string]>([
    ['a version is a range', { dependencies: { a: '^1.0.0' } }, {}, 'a: ^1.0.0 is not an exact version'],
    ['a version is a tag', { devDependencies: { a: 'latest' } }, {}, 'a: latest is not'],
    ['an override is a range', { overrides: { a: { b: '~1.0.0' } } }, {}, 'b: ~1.0.0 is not'],
    [
      'the SDK has two versions',
      { dependencies: { '@temporalio/client': '1.24.0', '@temporalio/worker': '1.23.0' } },
      {},
      '@temporalio: 1.24.0, 1.23.0 must be one version',
    ],
    [
      'a hash is missing',
      {},
      { 'node_modules/a': { ...good, integrity: undefined } },
      'node_modules/a: has no integrity',
    ],
    [
      'a platform is missing',
      {},
      { 'node_modules/a': { ...good, optionalDependencies: { 'a-linux-x64': '1.0.0' } } },
      'node_modules/a: a-linux-x64 is not in the lock',
    ],
    [
      'a licence is unknown',
      {},
      { 'node_modules/a': { ...good, license: 'AGPL-3.0' } },
      'a@1.0.0: its licence is AGPL-3.0',
    ],
    [
      'a required licence is not allowed',
      {},
      { 'node_modules/a': { ...good, license: '(MIT AND GPL-2.0)' } },
      'its licence is',
    ],
    ['a licence is missing', {}, { 'node_modules/a': { ...good, license: undefined } }, 'its licence is none'],
  ])('reports when %s', async (_, manifest, packages, problem) => {
    await expect(checkPackages(manifest, packages)).rejects.toThrow(problem);
  });

  test('accepts any licence of a development tool, and a choice of two licences if one of them is allowed', async () => {
    await checkPackages(
      { overrides: { a: '$a' } },
      {
        'node_modules/@x/a': { ...good, optionalDependencies: { b: '1.0.0' }, license: '(GPL-2.0 OR MIT)' },
        'node_modules/@x/a/node_modules/b': good,
        'node_modules/c': { ...good, license: 'MPL-2.0', dev: true },
      },
    );
  });

  test('the SBOM contains all deployed packages and no development tools', async () => {
    const print = () =>
      promisify(execFile)(process.execPath, ['--import', 'tsx', 'tools/project/sbom.ts'], {
        cwd: projectRoot,
        maxBuffer: 2 ** 26,
      });
    const [{ stdout }, again] = [await print(), await print()];
    expect(again.stdout, 'the second bill of materials').toBe(stdout);
    const { bomFormat, components } = JSON.parse(stdout) as {
      bomFormat: string;
      components: { name: string; version: string }[];
    };
    const listed = components.map(({ name, version }) => `${name}@${version}`);
    const { packages } = JSON.parse(await readFile(join(projectRoot, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { name?: string; version: string; dev?: boolean }>;
    };
    const deployed = Object.entries(packages).flatMap(([path, { name, version, dev }]) =>
      path && !dev ? [`${name ?? path.split('node_modules/').at(-1)}@${version}`] : [],
    );
    expect(bomFormat).toBe('CycloneDX');
    expect(listed).toContain('@temporalio/worker@1.24.0');
    expect([...new Set(listed)].sort()).toEqual([...new Set(deployed)].sort());
  });
});
