import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startProcess, typescriptCommand } from '../../processes/processes.js';
import { fetchSource, type FetchSourceOptions } from './fetch-program.js';
import type { ProgramSource } from './program-sources.js';

export type VendorServer = 'dev-server' | 'time-skipping';

/** The download fails when no data arrives for this long. */
const stallTimeoutMs = 20_000;

/** Part of the path of a downloaded server, because the SDK version determines the server version. */
export const sdkVersion = (createRequire(import.meta.url)('@temporalio/testing/package.json') as { version: string })
  .version;

interface VendorDownloadOptions extends Pick<FetchSourceOptions, 'target' | 'report' | 'step' | 'verify'> {
  server: VendorServer;
  /** The size of the download, for the error message. */
  size?: string;
}

/** The download that the SDK uses for its own servers. */
export function vendorDownloadSource({ server, size, ...options }: VendorDownloadOptions): ProgramSource {
  return fetchSource({
    ...options,
    name: `the vendor's download, through the SDK (temporal.download${size ? `, ${size}` : ''})`,
    fix: 'let this machine reach https://temporal.download (behind a proxy: HTTPS_PROXY)',
    fetch: () => downloadFromVendor(server, options.target),
  });
}

/**
 * Downloads a server with the SDK and moves the file to `target`. The SDK runs in a separate process
 * (tools/servers/programs/vendor-download-process.ts), which is killed when the download stalls.
 *
 * @throws when the download fails, with the output of the SDK.
 */
async function downloadFromVendor(server: VendorServer, target: string): Promise<void> {
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
    // Accepts the file even if the SDK could not start the server, because the caller checks that the program works.
    if (file) await rename(join(folder, file), target);
    else if (stalled) throw new Error(`no data arrived for ${stallTimeoutMs / 1000} s`);
    else throw new Error(child.lastOutput() || 'the SDK downloaded no file');
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
