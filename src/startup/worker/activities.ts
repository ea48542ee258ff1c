import type { NativeConnection } from '@temporalio/worker';
import { createActivities, type Activities } from '../../activities/index.js';
import { createMailer } from '../../activities/external/mail.js';
import { createWebhooks } from '../../activities/external/webhooks.js';
import { createSlackNotifier, type SlackNotifier } from '../../activities/notifiers/slack.js';
import { createApprovalLinkSigner } from '../../approval-links/links.js';
import { operations } from '../../batch-operations/index.js';
import { createSlackApprovers } from '../../slack/approvers.js';
import { offersStandaloneActivities } from '../../temporal/client/standalone-activities.js';
import type { Config } from '../../config/read.js';
import type { Resources } from '../resources.js';
import { createConfiguredCarrier } from './carrier.js';
import { createConfiguredPaymentGateway } from './payment-gateway.js';

/** Creates the activities with the clients and settings of a worker's configuration. */
export async function createConfiguredActivities(
  { config, store, outgoing }: Resources<'worker'>,
  connection: NativeConnection,
): Promise<Activities> {
  const { ORDER_APPROVAL_THRESHOLD: threshold, ORDER_APPROVAL_STAGES: stages } = config;
  return createActivities({
    store,
    payments: await createConfiguredPaymentGateway(config, store),
    carrier: createConfiguredCarrier(config),
    reconcileAfterMinutes: config.RECONCILE_AFTER_MINUTES,
    notificationRetentionDays: config.NOTIFICATION_RETENTION_DAYS,
    batchItemRetentionDays: config.BATCH_ITEM_RETENTION_DAYS,
    orderRetentionDays: config.ORDER_RETENTION_DAYS,
    mailer: createMailer({ smtpUrl: config.SMTP_URL, from: config.MAIL_FROM }),
    webhooks: createWebhooks({ outgoing, secrets: config.OUTGOING_WEBHOOK_SECRET }),
    slack: createConfiguredSlackNotifier(config),
    outgoing,
    links: createApprovalLinkSigner(config.APPROVAL_LINK_SECRET),
    publicUrl: config.PUBLIC_URL,
    standaloneReports:
      config.STANDALONE_OUTCOME_REPORTS && (await offersStandaloneActivities(connection, config.TEMPORAL_NAMESPACE)),
    operations,
    approvalNamespace: config.APPROVAL_NAMESPACE,
    ...(threshold !== undefined && stages && { orderApprovalPolicy: { threshold, stages } }),
  });
}

function createConfiguredSlackNotifier({
  SLACK_API_URL: apiUrl,
  SLACK_BOT_TOKEN: botToken,
  SLACK_APPROVERS: approvers,
}: Config<'worker'>): SlackNotifier | undefined {
  if (botToken === undefined || approvers === undefined) return undefined;
  return createSlackNotifier({ apiUrl, botToken }, createSlackApprovers(approvers));
}
