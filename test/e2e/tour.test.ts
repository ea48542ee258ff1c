import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../../dev/ports.js';
import { startProcess } from '../../dev/processes.js';
import { checkout } from '../../dev/settings.js';
import { describeOnDevServer } from '../support/dev-server.js';

describeOnDevServer('npm run tour', () => {
  test('when no stack runs, then it starts one, every scene goes as expected, and it ends well', async () => {
    // A folder and a port at which nothing runs, so that it cannot visit anybody's stack.
    const dataDir = await mkdtemp(join(tmpdir(), 'tour-'));
    const output: string[] = [];
    const tour = await startProcess({
      name: 'tour',
      command: process.execPath,
      args: ['dev/run.mjs', 'dev/tour.ts'],
      cwd: checkout,
      env: { DATA_DIR: dataDir, PORT: String(await freePort()) },
      onLine: (line) => output.push(line),
    });
    const { code } = await tour.exited;
    await rm(dataDir, { recursive: true });

    expect(output.filter((line) => line.includes('NOT AS EXPECTED'))).toEqual([]);
    expect(output.join('\n')).toMatch(/All 11 scenes went as expected\./);
    expect(code).toBe(0);
  }, 180_000);
});
