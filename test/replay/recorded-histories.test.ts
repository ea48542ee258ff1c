import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { describe, expect, inject, test } from 'vitest';
import * as workflows from '../../src/workflows/index.js';
import { nexusRecordings } from '../../tools/recordings/approvals.js';
import { recordings } from '../../tools/recordings/recordings.js';
import { replayHistories, type Bundle, type RecordedHistory } from '../../tools/replay/replay-histories.js';
import type { Difference } from '../../tools/replay/difference.js';
import { eventTypeName } from '../../tools/replay/history-events.js';
import '../support/setup/quiet-runtime.js';
import { recordedHistories as histories } from '../support/replay/recorded-histories.js';

/** Replays the histories. @returns the difference between history and replay by file name, or undefined if equal. */
async function findDifferences(
  histories: (RecordedHistory & { file: string })[],
  bundle: Bundle,
): Promise<Record<string, Difference | undefined>> {
  const found: Record<string, Difference | undefined> = {};
  for await (const { file, difference } of replayHistories(histories, { workflowBundle: bundle }))
    found[file!] = difference;
  return found;
}

describe('replay of committed histories', () => {
  test('replays every recorded history with the current workflows', async () => {
    const found = await findDifferences(histories, { codePath: inject('workflowBundle') });

    expect(Object.keys(found)).toEqual(histories.map(({ file }) => file));
    expect(Object.entries(found).filter(([, difference]) => difference)).toEqual([]);
  });

  test('reports the first difference when the workflow code charges before it reserves', async () => {
    const { code } = await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('fixtures/incompatible.workflows.ts', import.meta.url)),
      logger: new DefaultLogger('ERROR'),
    });
    const completed = histories.filter(({ file }) => file.endsWith('order-completed.json'));

    const found = await findDifferences(completed, { code });

    expect(Object.values(found)).toEqual(
      completed.map(() => ({
        event: { id: expect.any(Number) as number, type: 'ActivityTaskScheduled', subject: 'reserveStock' },
        description: 'activity type in the history is reserveStock, in the code chargePayment',
        change: { kind: 'other-name', inHistory: 'reserveStock', inCode: 'chargePayment' },
      })),
    );
  });

  test('every activity, timer and child start in the recorded histories has a summary', () => {
    const types = ['ActivityTaskScheduled', 'TimerStarted', 'StartChildWorkflowExecutionInitiated'];
    const scheduled = histories.flatMap(({ file, history }) =>
      history.events!.map((event) => ({ file, event })).filter(({ event }) => types.includes(eventTypeName(event))),
    );
    const withoutSummary = scheduled.filter(({ event }) => !event.userMetadata?.summary?.data?.length);

    expect(new Set(scheduled.map(({ event }) => eventTypeName(event)))).toEqual(new Set(types));
    expect(
      withoutSummary.map(({ file, event }) => `${file}, event ${String(event.eventId)}`),
      'add a summary in activities.ts of the workflow, or to the timer, and record the history again',
    ).toEqual([]);
  });

  test('every workflow type has a recorded history', () => {
    const recordedTypes = new Set(histories.map(({ workflowType }) => workflowType));
    const missing = Object.keys(workflows).filter((type) => !recordedTypes.has(type));

    expect(
      missing,
      'add a recording of these types to tools/recordings/recordings.ts, and run "npm run record-histories"; ' +
        'see docs/guides/add-a-workflow.md',
    ).toEqual([]);
  });

  test('there is a recorded history for every scenario in `recordings`', async () => {
    const recorded = new Set(histories.map(({ file }) => basename(file, '.json')));

    const missing = Object.keys({ ...recordings, ...nexusRecordings }).filter((name) => !recorded.has(name));
    expect(missing, `run "npm run record-histories -- ${missing.join(' ')}"`).toEqual([]);
  });
});
