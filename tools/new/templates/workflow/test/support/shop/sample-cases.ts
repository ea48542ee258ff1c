import { randomUUID } from 'node:crypto';
import type { SampleCaseInput } from '../../../src/schemas/sample-case.js';
import { sampleCaseWorkflowId } from '../../../src/workflows/sample-case/contract.js';
import type { RepeatedRequest, RepeatedRequestTools } from '../api/repeated-request.js';

/** Makes the input of a sample case with a new id. */
export function makeSampleCase(overrides: Partial<SampleCaseInput> = {}): SampleCaseInput {
  const sampleCaseId = randomUUID();
  return { sampleCaseId, contact: `${sampleCaseId}@example.com`, expiresAfterSeconds: 3_600, ...overrides };
}

/** The operations of sample cases that change data, as requests that must take effect only once. */
export function sampleCaseRequests({ post, workflowExists, countUpdates }: RepeatedRequestTools) {
  return {
    async startSampleCase(): Promise<RepeatedRequest> {
      const json = makeSampleCase();
      return {
        method: 'POST',
        path: '/v1/sample-cases',
        json,
        changedContent: { json: { ...json, expiresAfterSeconds: 7_200 } },
        readEffect: () => workflowExists(sampleCaseWorkflowId(json.sampleCaseId)),
        expectedEffect: true,
      };
    },
    async completeSampleCase(): Promise<RepeatedRequest> {
      const input = makeSampleCase();
      await post('/v1/sample-cases', input);
      return {
        method: 'POST',
        path: `/v1/sample-cases/${input.sampleCaseId}/complete`,
        changedContent: { json: {} },
        readEffect: () => countUpdates(sampleCaseWorkflowId(input.sampleCaseId), 'completeSampleCase'),
        expectedEffect: 1,
      };
    },
  };
}
