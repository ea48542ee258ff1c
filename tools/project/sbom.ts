import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../settings/environment.js';

interface PackageLock {
  packages: Record<string, { dev?: boolean; devDependencies?: object }>;
}

/**
 * `npm run sbom`: prints the bill of materials of the deployed packages for every platform, in the CycloneDX format.
 * `npm sbom --omit dev` would also omit deployed packages that a development tool needs too, for example the Temporal
 * SDK. Therefore npm runs in a folder whose lock contains no development packages.
 */
const temporaryFolder = await mkdtemp(join(tmpdir(), 'sbom-'));
try {
  const read = async (file: string) => JSON.parse(await readFile(join(projectRoot, file), 'utf8')) as unknown;
  const { devDependencies: _, ...manifest } = (await read('package.json')) as { name: string; devDependencies: object };
  // npm takes the name of the project from the folder.
  const folder = join(temporaryFolder, manifest.name);
  await mkdir(folder);
  const lock = (await read('package-lock.json')) as PackageLock;
  const packages = Object.entries(lock.packages).filter(([, { dev }]) => !dev);
  for (const [, each] of packages) delete each.devDependencies;
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  await writeFile(
    join(folder, 'package-lock.json'),
    JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }),
  );
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
  // stdout contains only the bill of materials. npm writes other messages to stderr.
  const { stdout } = await promisify(execFile)('npm', args, { cwd: folder, maxBuffer: 2 ** 26 });
  // Without the time and the random number, the same packages always have the same bill of materials.
  const {
    serialNumber: _number,
    metadata,
    ...bill
  } = JSON.parse(stdout) as {
    serialNumber: string;
    metadata: { timestamp: string };
  };
  const { timestamp: _time, ...stable } = metadata;
  process.stdout.write(`${JSON.stringify({ ...bill, metadata: stable }, undefined, 2)}\n`);
} finally {
  await rm(temporaryFolder, { recursive: true, force: true });
}
