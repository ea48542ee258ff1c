import { createActivities, type Activities } from '../../../src/activities/index.js';
import { createMailer } from '../../../src/activities/external/mail.js';
import { createWebhooks } from '../../../src/activities/external/webhooks.js';
import { createSlackNotifier } from '../../../src/activities/notifiers/slack.js';
import { createApprovalLinkSigner } from '../../../src/approval-links/links.js';
import { createOutgoingHttpClient } from '../../../src/http-client/outgoing-http-client.js';
import { operations as shopOperations, type Operations } from '../../../src/batch-operations/index.js';
import type { Stage } from '../../../src/schemas/approval.js';
import type { Store } from '../../../src/store/index.js';
import { createTestCarrier } from './carrier.js';
import { createChosenPaymentGateway, type PaymentAdapter } from './payment-gateway.js';
import { SLACK_BOT_TOKEN, slackApprovers } from './slack.js';
import type { RunningFakes } from '../fakes/running-fakes.js';

/** Orders of this total or more need an approval. Products in tests are cheaper, unless a test needs an approval. */
export const ORDER_APPROVAL_THRESHOLD = 100_000;

export const ORDER_APPROVAL_STAGES: Stage[] = [
  { approvers: [{ id: 'shift-lead', email: 'shift-lead@example.com' }], timeoutSeconds: 86_400 },
  { approvers: [{ id: 'manager', email: 'manager@example.com' }], timeoutSeconds: 172_800 },
];

/** The base URL of links in e-mails. No server listens there. */
export const PUBLIC_URL = 'http://shop.test';

export const LINK_SECRETS = ['test-link-secret-that-is-long-enough-1'];
export const OUTGOING_WEBHOOK_SECRET = 'whsec_dGVzdC1vdXRnb2luZy13ZWJob29rLXNlY3JldC0wMDE=';
export const APPROVAL_WEBHOOK_SECRET = 'whsec_dGVzdC1hcHByb3ZhbC13ZWJob29rLXNlY3JldC0wMDE=';

/**
 * The previous webhook secret. During a rotation, the API accepts it in addition to the current secret, for both kinds
 * of callbacks.
 */
export const PREVIOUS_WEBHOOK_SECRET = 'whsec_dGVzdC1yZXBsYWNlZC13ZWJob29rLXNlY3JldC0wMDE=';

/** Allows calls to this machine, because all webhook receivers in tests run here. */
export const outgoingHttpClient = createOutgoingHttpClient({ allowedHosts: [], allowPrivateAddresses: true });
export const approvalLinks = createApprovalLinkSigner(LINK_SECRETS);

/** Creates all activities with the store and the fake partners of a test. */
export function createTestActivities({
  store,
  fakes,
  operations = shopOperations,
  approvalStages: stages = ORDER_APPROVAL_STAGES,
  standaloneReports = false,
  approvalNamespace,
  payments,
}: {
  store: Store;
  fakes: RunningFakes;
  operations?: Operations;
  /** The approval stages for orders that need an approval. */
  approvalStages?: Stage[];
  /** Whether standalone activities report the outcomes of approvals. Needs a server that offers them. */
  standaloneReports?: boolean;
  /** If set, orders request their approvals over the Nexus endpoint of this namespace. */
  approvalNamespace?: string | undefined;
  /** The adapter to the payment gateway. Default: the one that `PAYMENTS` names. */
  payments?: PaymentAdapter;
}): Activities {
  const { smtpUrl, slackApiUrl } = fakes;
  return createActivities({
    store,
    payments: createChosenPaymentGateway(fakes, store, payments),
    carrier: createTestCarrier(fakes),
    outgoing: outgoingHttpClient,
    links: approvalLinks,
    mailer: createMailer({ smtpUrl, from: 'The shop <no-reply@shop.test>' }),
    slack: createSlackNotifier({ apiUrl: slackApiUrl, botToken: SLACK_BOT_TOKEN }, slackApprovers),
    webhooks: createWebhooks({ outgoing: outgoingHttpClient, secrets: [OUTGOING_WEBHOOK_SECRET] }),
    publicUrl: PUBLIC_URL,
    standaloneReports,
    // Orders of tests are reconciled as soon as their workflow has ended.
    reconcileAfterMinutes: 0,
    notificationRetentionDays: 90,
    batchItemRetentionDays: 90,
    orderRetentionDays: 730,
    operations,
    orderApprovalPolicy: { threshold: ORDER_APPROVAL_THRESHOLD, stages },
    approvalNamespace,
  });
}

/** Returns the approval settings as environment variables, for a worker in a separate process. */
export const approvalEnvironment = ({ smtpUrl }: Pick<RunningFakes, 'smtpUrl'>) => ({
  SMTP_URL: smtpUrl,
  MAIL_FROM: 'The shop <no-reply@shop.test>',
  PUBLIC_URL,
  APPROVAL_LINK_SECRET: LINK_SECRETS.join(','),
  OUTGOING_WEBHOOK_SECRET,
  OUTGOING_ALLOW_PRIVATE: 'true',
  ORDER_APPROVAL_THRESHOLD: String(ORDER_APPROVAL_THRESHOLD),
  ORDER_APPROVAL_STAGES: JSON.stringify(ORDER_APPROVAL_STAGES),
});
