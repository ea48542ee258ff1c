import {
  completeSampleCaseUpdate,
  SAMPLE_CASE_TASK_QUEUE,
  sampleCaseWorkflowId,
} from '../../src/workflows/sample-case/contract.js';
import type * as workflows from '../../src/workflows/index.js';
import { waitForClose, type Recorder, type Recording } from './recorder.js';

const start = (recorder: Recorder, sampleCaseId: string, expiresAfterSeconds: number) =>
  recorder.start<typeof workflows.sampleCase>('sampleCase', {
    workflowId: sampleCaseWorkflowId(sampleCaseId),
    taskQueue: SAMPLE_CASE_TASK_QUEUE,
    input: { sampleCaseId, contact: 'ada@example.com', expiresAfterSeconds },
  });

/** The recordings of sample cases. */
export const sampleCaseRecordings: Record<string, Recording> = {
  'sample-case-completed': async (recorder, sampleCaseId) => {
    const handle = await start(recorder, sampleCaseId, 3_600);
    await handle.executeUpdate(completeSampleCaseUpdate);
    return await waitForClose(handle);
  },
  'sample-case-expired': async (recorder, sampleCaseId) => waitForClose(await start(recorder, sampleCaseId, 1)),
  'sample-case-invalid-input': async (recorder, sampleCaseId) => waitForClose(await start(recorder, sampleCaseId, 0)),
};
