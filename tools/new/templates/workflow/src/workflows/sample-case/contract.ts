import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { SampleCaseView } from '../../schemas/sample-case.js';

export const SAMPLE_CASE_TASK_QUEUE = 'sample-cases';

/** Returns the workflow id of a sample case. The prefix is the workflow type. */
export const sampleCaseWorkflowId = (sampleCaseId: string): string => `sampleCase:${sampleCaseId}`;

/** Returns the sample case id that a workflow id contains. */
export const sampleCaseIdOf = (workflowId: string): string => workflowId.replace(/^sampleCase:/, '');

export const sampleCaseQuery = defineQuery<SampleCaseView>('sampleCase');

/** Completes the sample case. Has no effect on a sample case that is completed or expired. */
export const completeSampleCaseUpdate = defineUpdate<SampleCaseView>('completeSampleCase');
