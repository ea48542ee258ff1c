import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../../tools/processes/commands.js';
import { loadSettings } from '../../../tools/settings/settings.js';
import { copyProject, type ProjectCopy } from '../../support/docs/project-copy.js';
import packageJson from '../../../package.json' with { type: 'json' };

const TIMEOUT_MS = 600_000;

/** The tests of everything that carries a name: manifests, alerts, dashboard, metrics, images. */
const TESTS_OF_NAMES = ['test/deploy', 'test/observability', 'test/tools/compose'];

const title = 'npm run rename';
if (packageJson.name === 'workflow-orchestration-patterns') describe(title, testRename);
else describe.skip(`${title} (skipped: the project was already renamed)`, testRename);

function testRename(): void {
  let copy: ProjectCopy;
  beforeAll(async () => {
    copy = await copyProject();
    await git('init', '--quiet');
    await commit();
  }, TIMEOUT_MS);
  afterAll(async () => {
    await copy?.remove();
    // The programs that PostgreSQL cannot read in a checkout of root.
    await rm(`/var/tmp/acme-${process.getuid?.()}`, { recursive: true, force: true });
  });

  // The renamed project has another cache, so the commands get the cache of this one. They run at a low priority, so that
  // the tests that run at the same time keep their deadlines.
  const run = (command: string, ...args: string[]) =>
    runCommand({
      name: command,
      command: 'nice',
      args: ['-n', '19', command, ...args],
      env: { CACHE_DIR: loadSettings().cacheDir },
      cwd: copy.folder,
      timeoutMs: TIMEOUT_MS,
    });
  const git = (...args: string[]) => run('git', '-c', 'user.name=test', '-c', 'user.email=test@example.com', ...args);
  const npmRun = (file: string, ...args: string[]) => run(process.execPath, 'tools/run.mjs', file, ...args);
  const rename = (...args: string[]) => npmRun('tools/rename/main.ts', ...args);

  async function commit(): Promise<void> {
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'Commit');
  }

  test.each([
    ['--', []],
    ['Acme', ['Acme']],
    ['a-b', ['a-b']],
    ['temporal', ['temporal']],
    ['process', ['process']],
    ['null', ['null']],
    ['two names', ['a1', 'b1']],
  ])(
    'rejects %s and changes nothing',
    async (_title, args) => {
      await expect(rename(...args)).rejects.toThrow(/example: acme|npm run rename -- acme/);
      expect(await git('status', '--porcelain')).toBe('');
    },
    TIMEOUT_MS,
  );

  test(
    'renames the project, whose checks and tests of names then pass',
    async () => {
      expect(await rename('acme')).toContain('Renamed the project to acme in');

      const read = (file: string) => readFile(join(copy.folder, file), 'utf8');
      expect(JSON.parse(await read('package.json'))).toMatchObject({ name: 'acme' });
      expect(await read('docker-compose.yml')).toContain('postgres://acme:${ACME_DATABASE_PASSWORD:');
      expect(await read('docs/reference/metrics.md')).toContain('`acme_orders_unreconciled`');
      expect(await read('openapi.json')).toContain('"title": "Acme"');
      const allowed = [
        'CHANGELOG.md',
        'LICENSE',
        'docs/guides/make-it-your-own.md',
        'tools/rename/',
        'test/tools/rename/',
        'test/e2e/project/rename.test.ts',
      ];
      const pattern = 'workflow-orchestration-patterns|shop_[a-z]|SHOP_[A-Z]|part-of: shop|names: \\[shop\\]';
      expect(await git('grep', '-lE', pattern, '--', '.', ...allowed.map((path) => `:!${path}`)).catch(() => '')).toBe(
        '',
      );
      expect(await git('diff', '--name-only', '--', 'docs/guides/make-it-your-own.md', 'test/e2e/project')).toBe('');

      await expect(rename('other')).rejects.toThrow('"git restore . && git clean -fd deploy" reverts them');
      const newFiles = (await git('ls-files', '--others', '--exclude-standard')).trim().split('\n');
      expect(newFiles).toContain('deploy/observability/grafana/dashboards/acme.json');
      expect(newFiles.filter((file) => !file.startsWith('deploy/'))).toEqual([]);
      await commit();
      await npmRun('tools/project/check.ts', 'format', 'spelling', 'links', 'openapi');
      await npmRun('tools/project/test.ts', ...TESTS_OF_NAMES);
      expect(await npmRun('tools/project/test.ts', 'test/e2e/project/rename.test.ts')).toMatch(/Tests .* skipped/);
      await expect(rename('other')).rejects.toThrow('was already renamed');

      await npmRun('tools/new/main.ts', 'workflow', 'invoice');
      const scaledObjects = await read('deploy/kubernetes/components/backlog-autoscaling/scaled-objects.yaml');
      expect(scaledObjects).toContain('name: worker-invoices');
      expect(scaledObjects).not.toContain('part-of: shop');
    },
    2 * TIMEOUT_MS,
  );
}
