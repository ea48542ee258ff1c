import { log } from '@temporalio/activity';

export interface SampleCaseInput {
  orderId: string;
  customerId: string;
}

export function createSampleCaseActivities() {
  return {
    /** Replace the log line with the effect of the step. Temporal may run an activity again, so it must be idempotent. */
    sampleCase({ orderId, customerId }: SampleCaseInput): Promise<void> {
      log.info('sample case', { orderId, customerId });
      return Promise.resolve();
    },

    /** Compensates the step. Must also work if the step never happened, or happened partly. */
    cancelSampleCase({ orderId }: { orderId: string }): Promise<void> {
      log.info('sample case cancelled', { orderId });
      return Promise.resolve();
    },
  };
}
