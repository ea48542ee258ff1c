import { join } from 'node:path';
import type { WorkflowBundle } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { readCommittedHistories } from '../../tools/replay/histories.js';
import { replayHistories } from '../../tools/replay/replay-histories.js';
import '../../test/support/setup/quiet-runtime.js';
import { bundleAccounts } from './worker.js';

let workflowBundle: WorkflowBundle;
beforeAll(async () => {
  workflowBundle = await bundleAccounts();
});

test('replays the recorded histories', async () => {
  const histories = await readCommittedHistories(join(import.meta.dirname, 'histories'));
  expect(histories).not.toEqual([]);

  for await (const { file, difference } of replayHistories(histories, { workflowBundle })) {
    expect({ file, difference: difference?.description }).toEqual({ file, difference: undefined });
  }
});
