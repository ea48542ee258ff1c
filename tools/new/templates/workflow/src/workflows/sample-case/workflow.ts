import { allHandlersFinished, condition, setHandler, workflowInfo } from '@temporalio/workflow';
import type { SampleCaseInput, SampleCaseView } from '../../schemas/sample-case.js';
import { openSampleCase, sendSampleCaseOutcome } from './activities.js';
import { completeSampleCaseUpdate, sampleCaseIdOf, sampleCaseQuery } from './contract.js';

/**
 * Waits until the sample case is completed or expires, and sends an e-mail with the outcome. Invalid input fails with
 * `InvalidInput`.
 */
export async function sampleCase(input: SampleCaseInput): Promise<SampleCaseView> {
  const { startTime, workflowId } = workflowInfo();
  const view: SampleCaseView = { sampleCaseId: sampleCaseIdOf(workflowId), status: 'open' };
  // Handlers are registered before the first await, so that no message is lost.
  setHandler(sampleCaseQuery, () => view);
  setHandler(completeSampleCaseUpdate, () => {
    if (view.status === 'open') view.status = 'completed';
    return view;
  });

  const { contact, expiresAfterSeconds } = await openSampleCase(input, view.sampleCaseId);
  const waitMs = expiresAfterSeconds * 1000;
  view.expiresAt = new Date(startTime.getTime() + waitMs).toISOString();
  const isCompleted = () => view.status === 'completed';
  if (!(await condition(isCompleted, waitMs, { summary: 'Wait for the completion' }))) view.status = 'expired';

  await sendSampleCaseOutcome({ contact, view });
  await condition(allHandlersFinished);
  return view;
}
