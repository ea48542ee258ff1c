import { copyFile, cp, link, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findOnPath, runCommand } from '../processes/commands.js';
import { findPostgresBinaries } from '../servers/postgres/binaries.js';
import { fetchGoProgram, type FetchOptions } from '../servers/programs/go-program.js';
import { findTemporalCli } from '../servers/programs/temporal-cli.js';
import { findTemporalServerBinaries } from '../servers/programs/temporal-server-binaries.js';
import { inheritedEnvironment } from '../settings/environment.js';
import { loadSettings } from '../settings/settings.js';
import type { ComposeProject } from './compose-project.js';
import type { ContainerEngine } from './engine.js';

const sources = fileURLToPath(new URL('stand-ins', import.meta.url));
const pullTimeoutMs = 10 * 60_000;
const buildTimeoutMs = 20 * 60_000;
const npmVersion = '11';

/** The file with the trusted certificates of this machine. */
const certificates = inheritedEnvironment()['NODE_EXTRA_CA_CERTS'] ?? '/etc/ssl/certs/ca-certificates.crt';

/** The programs of the stand-ins, which are built once and kept in the cache. */
export async function fetchStandInPrograms({ report }: FetchOptions): Promise<Record<string, string>> {
  const settings = loadSettings();
  const runs = (path: string) => runCommand({ name: path, command: path, args: ['--help'], timeoutMs: 20_000 });
  const verify = async (path: string) => {
    await runs(path);
    return { path, version: 'built' };
  };
  const options = { settings, report, verify };
  const cli = await findTemporalCli(options);
  const server = await findTemporalServerBinaries(options);
  const ui = await fetchGoProgram({
    ...options,
    name: 'temporal-ui',
    module: 'github.com/temporalio/ui-server/v2',
    version: '2.54.1',
    package: './cmd/server',
    file: 'config/docker.yaml',
  });
  const mailpit = await fetchGoProgram({
    ...options,
    name: 'mailpit',
    module: 'github.com/axllent/mailpit',
    version: '1.31.2',
    package: '.',
  });
  return {
    'debian.tar': await fetchDebian({ settings, report }),
    'bin/temporal': cli.path,
    'bin/temporal-server': server.serverPath,
    'bin/temporal-sql-tool': server.sqlToolPath,
    'bin/temporal-ui': ui.path,
    'temporal-ui.yaml': join(dirname(ui.path), 'docker.yaml'),
    'bin/mailpit': mailpit.path,
  };
}

/** Returns an archive with the packages of Debian's slim image. */
async function fetchDebian({ settings, report }: FetchOptions): Promise<string> {
  const target = join(settings.cacheDir, 'debian-bookworm', 'debian.tar');
  if (existsSync(target)) return target;
  if (!findOnPath('mmdebstrap')) throw new Error('there is no "mmdebstrap" on PATH\n  fix: apt-get install mmdebstrap');
  await mkdir(dirname(target), { recursive: true });
  const draft = `${target}.${randomUUID()}.tar`;
  const omitted = ['doc', 'man', 'locale', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  const args = ['--variant=minbase', '--include=usr-is-merged', '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr'];
  await report.withProgress('installing the packages of the base image (only once)', () =>
    runCommand({
      name: 'mmdebstrap',
      command: 'mmdebstrap',
      args: [...args, ...omitted, 'bookworm', draft],
      timeoutMs: buildTimeoutMs,
    }),
  );
  await rename(draft, target);
  return target;
}

/** The stages of stand-ins/Dockerfile that replace images. */
const STAGES = [
  'node',
  'debian',
  'postgres',
  'haproxy',
  'admin-tools',
  'server',
  'ui',
  'mailpit',
  'prometheus',
  'grafana',
];

/**
 * Returns the stage of stand-ins/Dockerfile that replaces an image. It has the last part of the image's path as its name.
 *
 * @throws when no stage replaces the image.
 */
export function findStage(image: string): string {
  const stage = basename(image.split(':')[0]!);
  if (!STAGES.includes(stage)) throw new Error(`there is no stand-in for ${image}`);
  return stage;
}

/**
 * Pulls the images that the project needs. If the registry is not reachable, builds images with the same names from
 * packages of other registries, but only on a private engine: on another engine, they would replace the real images.
 *
 * @returns where the images came from.
 */
export async function provideImages(
  engine: ContainerEngine,
  project: ComposeProject,
  options: FetchOptions,
): Promise<string> {
  const images = await project.requiredImages();
  const missing: string[] = [];
  for (const image of images) await engine.docker(['image', 'inspect', image]).catch(() => missing.push(image));
  try {
    for (const image of missing) await engine.docker(['pull', '--quiet', image], pullTimeoutMs);
    return 'images of their vendors';
  } catch (error) {
    const reason = (error as Error).message.split('\n').at(-1);
    if (!engine.isPrivate)
      throw new Error(
        `an image cannot be pulled: ${reason}\n  fix: let the engine reach its registry, or stop the engine and run this as root`,
        { cause: error },
      );
    options.report.print(`      no image can be pulled, so stand-ins are built (${reason})`);
  }
  const files = await fetchStandInPrograms(options);
  await buildStandIns(project, missing, files, nodeVersionOf(images), options);
  return 'stand-ins, which are built from packages';
}

const nodeVersionOf = (images: readonly string[]): string =>
  /:([\d.]+)/.exec(images.find((image) => image.startsWith('node:')) ?? '')?.[1] ?? process.versions.node;

async function buildStandIns(
  project: ComposeProject,
  images: readonly string[],
  files: Record<string, string>,
  nodeVersion: string,
  { report }: FetchOptions,
): Promise<void> {
  const stages = images.map((image) => ({ image, target: findStage(image) }));
  // On the disk of the cache, so that the programs can be linked instead of copied.
  const context = await mkdtemp(join(loadSettings().cacheDir, 'stand-ins-'));
  try {
    await cp(sources, context, { recursive: true });
    await mkdir(join(context, 'bin'));
    for (const [name, path] of Object.entries(files))
      await link(path, join(context, name)).catch(() => copyFile(path, join(context, name)));
    await copyFile(certificates, join(context, 'ca-certificates.crt'));
    await cp((await findPostgresBinaries()).path, join(context, 'postgres/native'), {
      recursive: true,
      verbatimSymlinks: true,
    });
    await fetchNode(join(context, 'node'), nodeVersion);
    const services = stages.map(({ image, target }) => [target, { image, build: { context, target } }]);
    const file = join(context, 'compose.json');
    await writeFile(file, JSON.stringify({ name: 'stand-ins', services: Object.fromEntries(services) as object }));
    await report.withProgress(`building ${images.length} stand-ins`, () =>
      project.compose(['build', '--quiet'], { files: [file], inProject: false, timeoutMs: buildTimeoutMs }),
    );
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** Puts Node.js and npm into a folder, from their packages in npm's registry. */
async function fetchNode(folder: string, version: string): Promise<void> {
  const download = await mkdtemp(join(tmpdir(), 'node-package-'));
  const npmPackages = { node: `node-linux-${process.arch}@${version}`, npm: `npm@${npmVersion}` };
  try {
    await mkdir(folder);
    for (const [name, spec] of Object.entries(npmPackages)) {
      const packed = join(download, name);
      await mkdir(packed);
      await runCommand({
        name: `npm pack ${spec}`,
        command: 'npm',
        args: ['pack', '--silent', '--pack-destination', packed, spec],
        timeoutMs: pullTimeoutMs,
      });
      const [archive = ''] = await readdir(packed);
      const args = ['-xzf', join(packed, archive), '-C', packed];
      await runCommand({ name: 'tar', command: 'tar', args, timeoutMs: 60_000 });
      await cp(join(packed, 'package', name === 'node' ? 'bin/node' : ''), join(folder, name), { recursive: true });
    }
  } finally {
    await rm(download, { recursive: true, force: true });
  }
}
