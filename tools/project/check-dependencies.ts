import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Licences that packages in the image may have. These licences require only that the image contains their text. */
const ALLOWED_LICENCES = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
  // Licences of data packages. The packages name their authors.
  'MIT-0',
  'CC-BY-4.0',
]);

/** Packages without a licence in package.json. A person has read the licence in the files of the package. */
const MANUALLY_VERIFIED_LICENCES: Record<string, string> = { 'unionfs@4.6.0': 'Unlicense' };

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  overrides?: Record<string, string | Record<string, string>>;
}

interface LockedPackage {
  name?: string;
  version?: string;
  license?: string;
  integrity?: string;
  dev?: boolean;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}

/**
 * Checks the packages that `npm ci` installs, based on package.json and package-lock.json. All versions must be exact,
 * and all `@temporalio` packages must have the same version. The lock must contain a hash for every package and the
 * optional packages of every platform. Deployed packages may have only allowed licences.
 *
 * @throws with one line for each problem.
 */
export async function checkDependencies(folder: string): Promise<void> {
  const read = async (file: string): Promise<unknown> => JSON.parse(await readFile(join(folder, file), 'utf8'));
  const manifest = (await read('package.json')) as Manifest;
  const { packages } = (await read('package-lock.json')) as { packages: Record<string, LockedPackage> };
  const problems = [...findPinProblems(manifest), ...findLockfileProblems(packages), ...findLicenceProblems(packages)];
  // npm would use npm-shrinkwrap.json instead of package-lock.json.
  if (existsSync(join(folder, 'npm-shrinkwrap.json')))
    problems.push('npm-shrinkwrap.json: must not exist beside package-lock.json');
  if (problems.length) throw new Error(problems.join('\n'));
}

/** In an override, `$name` refers to the version in the project's own dependencies. */
const isExact = (version: string) => /^(\d+\.\d+\.\d+([-+][\w.-]+)?|\$.+)$/.test(version);

function findPinProblems({ dependencies = {}, devDependencies = {}, overrides = {} }: Manifest): string[] {
  const pins = Object.entries({ ...dependencies, ...devDependencies });
  const flat = Object.entries(overrides).flatMap(([name, version]) =>
    typeof version === 'object' ? Object.entries(version) : [[name, version] as [string, string]],
  );
  const loose = [...pins, ...flat].filter(([, version]) => !isExact(version));
  // The interceptor packages have other version numbers than the SDK. The overrides in package.json make them use the
  // project's SDK packages.
  const temporal = pins.filter(([name]) => /^@temporalio\/(?!interceptors-)/.test(name)).map(([, version]) => version);
  return [
    ...loose.map(([name, version]) => `${name}: ${version} is not an exact version`),
    ...(new Set(temporal).size > 1 ? [`@temporalio: ${[...new Set(temporal)].join(', ')} must be one version`] : []),
  ];
}

function findLockfileProblems(packages: Record<string, LockedPackage>): string[] {
  return Object.entries(packages).flatMap(([path, { link, integrity, optionalDependencies = {} }]) => {
    // The folders in which Node looks for a package that is imported from `path`.
    const folders = path
      .split('/node_modules/')
      .map((_, index, all) => all.slice(0, all.length - index).join('/node_modules/'));
    const has = (name: string) =>
      [...folders, ''].some((from) => packages[from ? `${from}/node_modules/${name}` : `node_modules/${name}`]);
    const missing = Object.keys(optionalDependencies).filter((name) => !has(name));
    return [
      ...(path && !link && !integrity ? [`${path}: has no integrity in the lock`] : []),
      ...missing.map((name) => `${path}: ${name} is not in the lock, so other platforms would not get it`),
    ];
  });
}

function findLicenceProblems(packages: Record<string, LockedPackage>): string[] {
  return Object.entries(packages).flatMap(([path, { dev, name, version, license }]) => {
    if (path === '' || dev) return [];
    const id = `${name ?? path.split('node_modules/').at(-1)}@${version}`;
    const said = license ?? MANUALLY_VERIFIED_LICENCES[id] ?? 'none';
    return isLicenceAllowed(said) ? [] : [`${id}: its licence is ${said}, which is not allowed`];
  });
}

/** In an SPDX expression, one licence of an `OR` must be allowed, and all licences of an `AND` must be allowed. */
function isLicenceAllowed(expression: string): boolean {
  return expression
    .replace(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((licence) => ALLOWED_LICENCES.has(licence)));
}
