import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import type { Stack } from '../../../tools/stack/stack.js';
import { startProcess } from '../../support/processes.js';
import { createCaller } from '../../support/api/callers.js';
import { describeWithSchemathesis, SCHEMATHESIS_FOLDER } from '../../support/api/schemathesis.js';

const TIMEOUT_MS = 300_000;

// `grace` is the approver in the examples of the OpenAPI document.
const caller = createCaller(['operator', 'approver', 'shopper'], 'grace');

describeWithSchemathesis('Schemathesis against a running API', () => {
  let stack: Stack;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'schemathesis-'));
    stack = await startTemporaryStack({
      carrierPickupSeconds: 0,
      carrierDeliverySeconds: 0,
      applicationEnv: {
        WORKFLOW_BUNDLE: inject('workflowBundle'),
        API_KEYS: JSON.stringify([caller.configEntry]),
        RATE_LIMIT_PER_MINUTE: '1000000',
        MAX_EVENT_LOOP_DELAY_MS: '10000',
      },
    });
  }, 180_000);
  afterAll(async () => {
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test(
    'every API operation passes all checks of Schemathesis for valid and invalid requests',
    async () => {
      const found = inject('schemathesis');
      const lines: string[] = [];
      const schemathesis = await startProcess({
        name: 'schemathesis',
        command: 'path' in found ? found.path : '',
        args: [
          '--config-file',
          join(SCHEMATHESIS_FOLDER, 'schemathesis.toml'),
          'run',
          `${stack.addresses.apiUrl}/openapi.json`,
          '--checks',
          'all',
          '--no-color',
        ],
        cwd: folder,
        env: { API_KEY: caller.key, SCHEMATHESIS_HOOKS: join(SCHEMATHESIS_FOLDER, 'hooks.py'), COLUMNS: '200' },
        onLine: (line) => lines.push(line),
      });
      const { code } = await schemathesis.exited;
      const report = lines.join('\n');

      expect(code, report).toBe(0);
      expect(report).toMatch(/Selected: (\d+)\/\1\n\s+Tested: \1\n/);
      for (const phase of ['Examples', 'Coverage', 'Fuzzing', 'Stateful']) expect(report).toContain(`✅ ${phase}`);
      console.log(report.slice(report.indexOf('Test cases:')));
    },
    TIMEOUT_MS,
  );
});
