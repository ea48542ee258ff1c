import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startProcess, typescriptCommand } from '../../processes/processes.js';

export type VendorServer = 'dev-server' | 'time-skipping';

/** If no byte arrives for this long, the download's host is considered unreachable. */
const stallTimeoutMs = 20_000;

/** The SDK chooses the server version that fits it, so the path of the download contains the SDK's version. */
export const sdkVersion = (createRequire(import.meta.url)('@temporalio/testing/package.json') as { version: string })
  .version;

/**
 * Lets the SDK download one of its servers and moves the file to `target`. The SDK runs in a separate process
 * (tools/servers/programs/vendor-download-process.ts), which is killed when the download stalls.
 *
 * @throws with the SDK's reason when the download fails.
 */
export async function downloadFromVendor(server: VendorServer, target: string): Promise<void> {
  const folder = `${target}.${randomUUID()}`;
  await mkdir(folder, { recursive: true });
  try {
    const child = await startProcess({
      name: 'the SDK',
      ...typescriptCommand('tools/servers/programs/vendor-download-process.ts', server, folder),
    });
    let stalled = false;
    let [lastSize, since] = [0, Date.now()];
    const watch = setInterval(() => {
      void folderSize(folder).then((size) => {
        if (size !== lastSize) [lastSize, since] = [size, Date.now()];
        else if (Date.now() - since > stallTimeoutMs) {
          stalled = true;
          child.kill('SIGKILL');
        }
      });
    }, 1_000);
    await child.exited.finally(() => clearInterval(watch));
    const file = (await readdir(folder)).find((name) => !name.endsWith('.downloading'));
    // Only the file matters here, even if the SDK could not start the server: the caller checks that the program works.
    if (file) await rename(join(folder, file), target);
    else if (stalled) throw new Error(`no data arrived for ${stallTimeoutMs / 1000} s`);
    else throw new Error(child.lastOutput() || 'the SDK left no file');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function folderSize(folder: string): Promise<number> {
  let size = 0;
  for (const name of await readdir(folder).catch(() => []))
    size += (await stat(join(folder, name)).catch(() => ({ size: 0 }))).size;
  return size;
}
