/**
 * Usage: node tools/run.mjs <file> [arguments]. Runs a TypeScript file of this project in the current process.
 *
 * First installs the dependencies when they are missing or out of date, so that a fresh clone works too. Therefore this
 * file is plain JavaScript without dependencies.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { fileURLToPath, pathToFileURL } from 'node:url';

const minimumNodeVersion = [20, 19];
const progressIntervalMs = 15_000;
const killDelayMs = 5_000;
const projectRoot = fileURLToPath(new URL('..', import.meta.url));

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < minimumNodeVersion[0] || (major === minimumNodeVersion[0] && minor < minimumNodeVersion[1])) {
  console.error(
    `This is Node ${process.versions.node}; Node ${minimumNodeVersion.join('.')} or newer is needed (20, 22 and 24 are tested). https://nodejs.org`,
  );
  process.exit(1);
}

const [, , file, ...args] = process.argv;
if (!file) {
  console.error('Usage: node tools/run.mjs <file> [arguments]');
  process.exit(1);
}

if (findInstallReason()) await install();

const script = resolve(projectRoot, file);
process.argv = [process.argv[0], script, ...args];
const { register } = await import('tsx/esm/api');
register();
await import(pathToFileURL(script).href);

/**
 * Compares npm's record of installed packages with the lock file, so that any way of installing counts. Returns the
 * reason why an installation is needed, if any.
 */
function findInstallReason() {
  const expected = readJson('package-lock.json');
  const installed = readJson('node_modules/.package-lock.json');
  if (!existsSync(join(projectRoot, 'node_modules'))) return 'there is no node_modules';
  if (!expected || !installed) return 'npm did not install node_modules from package-lock.json';

  const manifest = readJson('package.json');
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    if (sortedJson(manifest?.[kind]) !== sortedJson(expected.packages[''][kind])) return 'package.json has changed';
  }
  for (const [path, entry] of Object.entries(expected.packages)) {
    if (path === '' || entry.link) continue;
    const found = installed.packages[path];
    if (!found && entry.optional) continue; // npm skips optional packages for other systems
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) return `${path} has changed`;
    if (!existsSync(join(projectRoot, path, 'package.json'))) return `${path} is missing`;
  }
  // Node would prefer a nested package that is no longer needed to the same package in a parent folder.
  const nested = Object.keys(installed.packages).find(
    (path) => path.lastIndexOf('node_modules/') > 0 && !expected.packages[path],
  );
  return nested && `${nested} is no longer needed`;
}

async function install() {
  const { withLock } = await import('./processes/lock.mjs');
  await withLock(
    join(projectRoot, '.data', 'install.lock'),
    async () => {
      const reason = findInstallReason();
      if (reason) await runNpmCi(reason);
    },
    (pid) => console.log(`Waiting for process ${pid}, which is installing the dependencies …`),
  );
}

async function runNpmCi(reason) {
  console.log(`Installing the dependencies with "npm ci" (${reason}) …`);
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const timer = setInterval(() => console.log(`Installing the dependencies … ${seconds()} s`), progressIntervalMs);
  const [command, before] = resolveNpmCommand();
  const child = spawn(
    command,
    // No dependency needs its install script. `--include` also installs development and optional packages if npm is
    // configured for production. `--loglevel` shows errors even if the parent npm runs silently.
    [
      ...before,
      'ci',
      '--ignore-scripts',
      '--include=dev',
      '--include=optional',
      '--no-audit',
      '--no-fund',
      '--loglevel=warn',
    ],
    { cwd: projectRoot, stdio: 'inherit', shell: process.platform === 'win32' && before.length === 0 },
  );
  // npm also receives Ctrl-C from the terminal, but not a signal that is sent only to this process.
  const stop = () => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), killDelayMs).unref();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const outcome = await new Promise((done) => {
    child.once('error', (error) => done(error.message));
    child.once('close', (code, signal) => done(code === 0 ? undefined : `it ended with ${signal ?? `code ${code}`}`));
  });
  clearInterval(timer);
  process.removeAllListeners('SIGINT');
  process.removeAllListeners('SIGTERM');
  if (outcome !== undefined) {
    console.error(`"npm ci" failed: ${outcome}. The output of npm is above.`);
    process.exit(1);
  }
  console.log(`Dependencies installed (${seconds()} s).`);
}

/** Returns the npm that runs this process, if any, else the npm of this Node, else the npm on PATH. */
function resolveNpmCommand() {
  const candidates = [
    process.env.npm_execpath,
    join(dirname(process.execPath), '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(dirname(process.execPath), 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ];
  const script = candidates.find((path) => path?.endsWith('npm-cli.js') && existsSync(path));
  return script ? [process.execPath, [script]] : ['npm', []];
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(projectRoot, path), 'utf8'));
  } catch {
    return undefined;
  }
}

function sortedJson(dependencies) {
  return JSON.stringify(Object.entries(dependencies ?? {}).sort());
}
