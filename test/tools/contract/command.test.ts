import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';
import { projectRoot } from '../../support/processes.js';

const TIMEOUT_MS = 60_000;

test(
  'npm run contract reports cases that hang as broken, runs the other cases, and exits with 1',
  async () => {
    const { code, output } = await runContract('payments', 'test/tools/fixtures/hanging-payment-partner.ts');

    expect(output).toContain(
      '  BROKEN     charges an order once when the charge is repeated\n             the case did not end within 0.1 s\n',
    );
    expect(output).toContain('  BROKEN     lists charges for the audit, also in pages\n');
    expect(output).toContain('  not tried  keeps a void after the retention of keys: the partner cannot');
    expect(output).toMatch(/\n0 kept, \d+ broken, \d+ not tried\.\n$/);
    expect(code).toBe(1);
  },
  TIMEOUT_MS,
);

function runContract(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const command = ['tools/run.mjs', 'tools/contract/main.ts', ...args];
    const options = { cwd: projectRoot, timeout: TIMEOUT_MS };
    execFile(process.execPath, command, options, (error, stdout) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout }),
    );
  });
}
