import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ManagedProcess, projectRoot, startProcess, waitUntil } from '../support/processes.js';

let folder: string;

const manifest = (dependencies: Record<string, string>) => ({
  name: 'a-clone',
  version: '1.0.0',
  type: 'module',
  dependencies,
});
const lock = (dependencies: Record<string, string>) => ({
  name: 'a-clone',
  version: '1.0.0',
  lockfileVersion: 3,
  requires: true,
  packages: {
    '': { name: 'a-clone', version: '1.0.0', dependencies },
    ...Object.fromEntries(
      Object.entries(dependencies).flatMap(([name, spec]) => [
        [`node_modules/${name}`, { resolved: spec.replace('file:', ''), link: true }],
        [spec.replace('file:', ''), { version: '1.0.0' }],
      ]),
    ),
  },
});

/**
 * Creates a checkout whose only dependency is a local replacement of tsx, so that the installation needs no network.
 */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clone-'));
  for (const file of ['run.mjs', 'processes/lock.mjs']) {
    await cp(join(projectRoot, 'tools', file), join(folder, 'tools', file), { recursive: true });
  }
  await writePackage('tsx');
  await write('tools/hello.mjs', 'console.log(`hello ${process.argv.slice(2)} from ${process.pid}`)');
  await dependOn({ tsx: 'file:packages/tsx' });
});
afterEach(() => rm(folder, { recursive: true }));

async function write(path: string, content: unknown): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true });
  await writeFile(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content));
}

async function writePackage(name: string): Promise<void> {
  const entry = { name, version: '1.0.0', type: 'module', exports: { './esm/api': './api.js' } };
  await write(`packages/${name}/package.json`, entry);
  await write(`packages/${name}/api.js`, 'export const register = () => {}');
}

async function dependOn(dependencies: Record<string, string>): Promise<void> {
  await write('package.json', manifest(dependencies));
  await write('package-lock.json', lock(dependencies));
}

async function run(env?: Record<string, string>): Promise<{ code: number | null; pid: number; output: string }> {
  const { child, output } = await start(env);
  const { code } = await child.exited;
  return { code, pid: child.pid, output: output.join('\n') };
}

async function start(env?: Record<string, string>): Promise<{ child: ManagedProcess; output: string[] }> {
  const output: string[] = [];
  const child = await startProcess({
    name: 'run',
    command: process.execPath,
    args: [join(folder, 'tools', 'run.mjs'), 'tools/hello.mjs', 'a', 'b'],
    cwd: folder,
    ...(env && { env }),
    onLine: (line) => output.push(line),
  });
  return { child, output };
}

describe('tools/run.mjs', { timeout: 60_000 }, () => {
  test('installs missing dependencies, and then runs the script in the same process', async () => {
    const { code, pid, output } = await run();
    expect(output).toMatch(/Installing the dependencies with "npm ci" \(there is no node_modules\)/);
    expect(output).toContain(`hello a,b from ${pid}`);
    expect(code).toBe(0);
  });

  test('runs the script without an installation when all dependencies are installed', async () => {
    await run();
    const { pid, output } = await run();
    expect(output).toBe(`hello a,b from ${pid}`);
  });

  test('installs again when the dependencies have changed', async () => {
    await run();
    await writePackage('another');
    await dependOn({ tsx: 'file:packages/tsx', another: 'file:packages/another' });
    const { code, output } = await run();
    expect(output).toMatch(/Installing the dependencies/);
    expect(code).toBe(0);
  });

  test('installs only once when two commands start at the same time', async () => {
    const outcomes = await Promise.all([run(), run()]);
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
    expect(outcomes.filter(({ output }) => output.includes('with "npm ci"'))).toHaveLength(1);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('exits on %s while npm hangs', async (signal) => {
    await write('npm-cli.js', `process.on('SIGTERM', () => {}); console.log('hanging'); setInterval(() => {}, 1000);`);
    const { child, output } = await start({ npm_execpath: join(folder, 'npm-cli.js') });
    await waitUntil(() => output.includes('hanging') || undefined, { description: 'npm hanging', timeoutMs: 20_000 });
    child.kill(signal);
    const overdue = setTimeout(() => child.kill('SIGKILL'), 20_000);
    expect(await child.exited.finally(() => clearTimeout(overdue))).toEqual({ code: 1, signal: null });
  });

  // `npm test --silent` sets the log level of npm for all child processes.
  test.each(['notice', 'silent'])(
    'when npm fails (log level %s), prints the reason and does not run the script',
    async (level) => {
      await write('package.json', manifest({ tsx: 'file:packages/tsx', missing: 'file:packages/missing' }));
      const { code, output } = await run({ npm_config_loglevel: level });
      expect(output).toMatch(/missing/i);
      expect(output).toContain('"npm ci" failed');
      expect(output).not.toContain('hello');
      expect(code).toBe(1);
    },
  );
});
