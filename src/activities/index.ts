import type { Store } from '../store/index.js';
import type { ApprovalLinkSigner } from '../approval-links/links.js';
import type { OutgoingHttpClient } from '../http-client/outgoing-http-client.js';
import type { Operations } from '../batch-operations/index.js';
import { createApprovalActivities } from './approvals.js';
import { createAuditActivities } from './audit.js';
import { createBatchActivities } from './batches.js';
import { createCartActivities } from './carts.js';
import { createErasureActivities } from './erasure.js';
import type { Mailer } from './external/mail.js';
import { createOrderActivities, type OrderApprovalPolicy } from './orders.js';
import { createPaymentActivities, type PaymentSettings } from './payments.js';
import { createPurgeActivities } from './purge.js';
import { createReconciliationActivities } from './reconciliation.js';
import { createReportActivities } from './report.js';
import { createShippingActivities, type ShippingSettings } from './shipping.js';
import type { Webhooks } from './external/webhooks.js';
import type { SlackNotifier } from './notifiers/slack.js';

export interface ActivityDependencies extends PaymentSettings, ShippingSettings {
  store: Store;
  mailer: Mailer;
  webhooks: Webhooks;
  /** If undefined, approvers get no messages in Slack. */
  slack?: SlackNotifier | undefined;
  outgoing: OutgoingHttpClient;
  links: ApprovalLinkSigner;
  /** Public base URL of the API. */
  publicUrl: string;
  /** Whether reports of approval outcomes run as standalone activities. */
  standaloneReports: boolean;
  /** An order is left alone until its workflow has been closed for this time. */
  reconcileAfterMinutes: number;
  /** How long notifications of carts are kept. */
  notificationRetentionDays: number;
  /** How long the items of closed batches are kept. */
  batchItemRetentionDays: number;
  /** How long the personal data of closed orders is kept. If undefined, it is kept. */
  orderRetentionDays?: number | undefined;
  /** The operations that batches can run. */
  operations: Operations;
  /** If undefined, no order needs an approval. */
  orderApprovalPolicy?: OrderApprovalPolicy;
  /** The namespace in which orders request their approvals over Nexus. If undefined, approvals are child workflows. */
  approvalNamespace?: string | undefined;
}

/** Creates all activities. The keys are the activity types in workflow histories. */
export function createActivities(deps: ActivityDependencies) {
  return {
    ...createApprovalActivities(deps),
    ...createAuditActivities(deps),
    ...createBatchActivities(deps),
    ...createCartActivities(deps),
    ...createErasureActivities(deps),
    ...createOrderActivities(deps),
    ...createPaymentActivities(deps),
    ...createPurgeActivities(deps),
    ...createReconciliationActivities(deps),
    ...createReportActivities(deps),
    ...createShippingActivities(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
