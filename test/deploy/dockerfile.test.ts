import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../support/processes.js';
import { roleOfCommand } from '../support/deploy/program-roles.js';
import { readDockerfile, findBuildStage } from '../support/deploy/dockerfile.js';

const dockerfile = readDockerfile();
const readText = (file: string) => readFileSync(join(projectRoot, file), 'utf8');

test('the Dockerfile copies only existing files, and .dockerignore allows exactly these files', () => {
  const sources = dockerfile.stages.flatMap(({ copies }) =>
    copies.filter(({ from }) => !from).flatMap(({ sources }) => sources),
  );
  for (const source of sources) expect(existsSync(join(projectRoot, source)), source).toBe(true);

  const [all, ...excepted] = readText('.dockerignore')
    .split('\n')
    .filter((line) => line && !line.startsWith('#'));
  expect(all).toBe('*');
  expect(excepted.map((line) => line.replace(/^!/, '')).sort()).toEqual([...new Set(sources)].sort());
});

test('the Dockerfile copies only from existing stages', () => {
  for (const { from } of dockerfile.stages.flatMap(({ copies }) => copies)) if (from) findBuildStage(dockerfile, from);
});

test('the Dockerfile builds the application by default', () => {
  expect(dockerfile.stages.at(-1)?.name).toBe('application');
});

test.each(['application', 'fakes'])('the %s image runs its program without a shell and not as root', (name) => {
  const { user, command } = findBuildStage(dockerfile, name);
  // The user is a number, because Kubernetes cannot detect whether a user name belongs to root.
  expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(roleOfCommand(command ?? [])).toBe(name === 'application' ? 'worker' : name);
});

test('the Dockerfile builds on Debian, because the native core of the SDK needs glibc', () => {
  for (const { from } of dockerfile.stages)
    if (from.startsWith('node:')) expect(from).toBe('node:${NODE_VERSION}-bookworm-slim');
    else if (from.startsWith('debian:')) expect(from).toBe('debian:${DEBIAN_VERSION}');
    else findBuildStage(dockerfile, from);
});

test('the image contains the native core for Linux on x86-64 and ARM', () => {
  const { runs } = findBuildStage(dockerfile, 'production-dependencies');
  const [, sources = '', kept = ''] = /rm -r (\S+) .*! -name "([^"]+)"/s.exec(runs.join('\n')) ?? [];
  const core = join(projectRoot, 'node_modules/@temporalio/core-bridge');
  const releases = readdirSync(join(core, 'releases'));
  for (const processor of ['x86_64', 'aarch64']) expect(releases).toContain(kept.replace('$(uname -m)', processor));
  expect(existsSync(join(core, sources, 'Cargo.toml')), sources).toBe(true);
});

test('the image is built without install scripts and contains only production dependencies', () => {
  const installs = dockerfile.stages.flatMap(({ name, runs }) =>
    runs.filter((run) => run.includes('npm ci')).map((run) => [name, run]),
  );
  expect(installs).toEqual([
    ['all-dependencies', expect.stringContaining('--ignore-scripts')],
    ['production-dependencies', expect.stringMatching(/--ignore-scripts.*--omit=dev/)],
  ]);
  expect(findBuildStage(dockerfile, 'application').copies).toContainEqual({
    from: 'production-dependencies',
    sources: ['/app/node_modules'],
  });
  expect(findBuildStage(dockerfile, 'build').runs).toEqual(['npm run build', 'npm run --silent sbom >sbom.cdx.json']);
  expect(JSON.parse(readText('package.json'))).toMatchObject({ scripts: { build: expect.any(String) } });
});
