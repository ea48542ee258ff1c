import type { Client } from '@temporalio/client';
import type { Activities } from '../../../activities/index.js';
import type { createPaymentActivities } from '../../../activities/payments.js';
import type { createShippingActivities } from '../../../activities/shipping.js';
import { waitForAll } from '../../../async/promises.js';
import type { Retrying } from '../../../schemas/shared/execution.js';
import { OPEN_EXECUTIONS } from '../../../temporal/client/closed-executions.js';
import { describeExecution } from '../../../temporal/client/describe-execution.js';
import { pendingActivityFields } from '../../../temporal/client/pending-activities.js';
import { listExecutions } from '../../../temporal/client/visibility.js';

/**
 * The API does not call partners; activities do. So their state is known only from the activities that are being
 * retried. An outage shows in the newest workflows, so the page describes only this number of them.
 */
export const SAMPLED_WORKFLOWS = 20;

export const PARTNERS = ['Payment gateway', 'Carrier', 'Mail server', 'Webhooks of approvers'] as const;

export type Partner = (typeof PARTNERS)[number];

type PartnerActivity =
  | keyof ReturnType<typeof createPaymentActivities>
  | keyof ReturnType<typeof createShippingActivities>
  | keyof Pick<Activities, 'mailApprover' | 'sendApproverWebhook' | 'reportOutcome'>;

/** The activities that call partners. */
const PARTNER_OF: Record<PartnerActivity, Partner> = {
  chargePayment: 'Payment gateway',
  refundPayment: 'Payment gateway',
  requestShipment: 'Carrier',
  cancelShipment: 'Carrier',
  trackShipment: 'Carrier',
  mailApprover: 'Mail server',
  sendApproverWebhook: 'Webhooks of approvers',
  reportOutcome: 'Webhooks of approvers',
};

/** The calls to a partner that Temporal retries. */
export interface PartnerRetries {
  count: number;
  /** One of the retried calls. */
  example?: Retrying[number] & { workflowId: string };
}

/** Returns the calls to each partner that are being retried in the newest open orders and approvals. */
export async function readPartnerRetries(client: Client): Promise<Record<Partner, PartnerRetries>> {
  const query = `WorkflowType in ('order', 'approval') and ${OPEN_EXECUTIONS}`;
  const { executions } = await listExecutions(client, { query, pageSize: SAMPLED_WORKFLOWS });
  const retries = await waitForAll(
    executions.map(async ({ workflowId, runId }) => {
      const description = await describeExecution(client, { workflowId, runId });
      const { retrying = [] } = description ? pendingActivityFields(description) : {};
      return retrying.map((retry) => ({ ...retry, workflowId }));
    }),
  );
  const entries = PARTNERS.map((partner) => {
    const ofPartner = retries.flat().filter(({ step }) => PARTNER_OF[step as PartnerActivity] === partner);
    return [partner, { count: ofPartner.length, ...(ofPartner[0] && { example: ofPartner[0] }) }];
  });
  return Object.fromEntries(entries) as Record<Partner, PartnerRetries>;
}
