import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startProcess, typescript } from './processes.js';

export type VendorServer = 'dev-server' | 'time-skipping';

/** No byte has come for this long: the download's host is not reachable from here. */
const stallMs = 20_000;

/** The SDK chooses the servers that fit it, so its version names the place of the download. */
export const sdkVersion = (createRequire(import.meta.url)('@temporalio/testing/package.json') as { version: string })
  .version;

/**
 * Lets the SDK download one of its servers and moves the file to `target`. The SDK does so in a process of its own
 * (dev/vendor-download-child.ts), which can be ended when nothing arrives any more.
 *
 * @throws with the SDK's reason when the download does not work.
 */
export async function downloadFromVendor(server: VendorServer, target: string): Promise<void> {
  const folder = `${target}.${randomUUID()}`;
  await mkdir(folder, { recursive: true });
  try {
    const child = await startProcess({
      name: 'the SDK',
      ...typescript('dev/vendor-download-child.ts', server, folder),
    });
    let stalled = false;
    let [seen, since] = [0, Date.now()];
    const watch = setInterval(() => {
      void sizeOf(folder).then((size) => {
        if (size !== seen) [seen, since] = [size, Date.now()];
        else if (Date.now() - since > stallMs) {
          stalled = true;
          child.kill('SIGKILL');
        }
      });
    }, 1_000);
    await child.exited.finally(() => clearInterval(watch));
    const file = (await readdir(folder)).find((name) => !name.endsWith('.downloading'));
    // The file is what counts: whether the SDK could also start it is checked by whoever uses it.
    if (file) await rename(join(folder, file), target);
    else if (stalled) throw new Error(`nothing arrived for ${stallMs / 1000} s`);
    else throw new Error(child.tail() || 'the SDK left no file');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  for (const name of await readdir(folder).catch(() => []))
    size += (await stat(join(folder, name)).catch(() => ({ size: 0 }))).size;
  return size;
}
