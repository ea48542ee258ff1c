import type { Example } from '../plugins/openapi/example.js';

const sampleCase = (sampleCaseId: string, status: string) => ({
  sampleCaseId,
  status,
  expiresAt: '2026-03-02T09:30:00.000Z',
});

/** The example of each operation of sample cases. */
export const sampleCaseExamples: Record<string, Example> = {
  startSampleCase: {
    body: { sampleCaseId: 'sample-case-1001', contact: 'ada@example.com', expiresAfterSeconds: 86_400 },
    response: { sampleCaseId: 'sample-case-1001' },
  },
  getSampleCase: {
    parameters: { sampleCaseId: 'sample-case-1001' },
    response: sampleCase('sample-case-1001', 'open'),
  },
  completeSampleCase: {
    parameters: { sampleCaseId: 'sample-case-1002' },
    response: sampleCase('sample-case-1002', 'completed'),
  },
};
