import type { PayloadCodec } from '@temporalio/common';
import type { ApprovalLinkSigner } from '../approval-links/links.js';
import type { Operations } from '../batch-operations/index.js';
import type { OutgoingHttpClient } from '../http-client/outgoing-http-client.js';
import type { Logger } from '../observability/logger.js';
import type { HttpMetrics } from '../observability/metrics/http.js';
import type { SlackApprovers } from '../slack/approvers.js';
import type { SlackClient } from '../slack/client.js';
import type { Store } from '../store/index.js';
import type { ShopClients } from '../temporal/client/approval-clients.js';
import type { BatchUploadLimits } from './batches/upload/limits.js';
import type { AuthSettings } from './plugins/auth/index.js';
import type { Cursors } from './http/lists/cursors.js';
import type { ProtectionSettings } from './plugins/protection.js';

/** The dependencies of most features: Temporal and the store. */
export interface Backends extends ShopClients {
  store: Store;
}

/** Where people find a workflow in other tools. Only configured tools are present. */
export interface WorkflowLinks {
  /** The URL of the Temporal Web UI. */
  temporalUi?: string | undefined;
  /** URL templates with `{workflowId}`. */
  traces?: string | undefined;
  logs?: string | undefined;
}

/** What the API needs to receive interactions of Slack. */
export interface SlackAccess {
  signingSecrets: readonly string[];
  approvers: SlackApprovers;
  client: SlackClient;
}

/** The dependencies of the HTTP application. Each feature declares which of them it uses. */
export interface AppDependencies extends Backends {
  logger: Logger;
  /** The secrets with which the carrier signs webhooks. */
  carrierWebhookSecrets: readonly string[];
  /** The secrets with which external systems sign their decisions about approvals. */
  approvalWebhookSecrets: readonly string[];
  approvalLinks: ApprovalLinkSigner;
  /** The secrets with which Stripe signs events. Without a secret, the API rejects all events. */
  stripeWebhookSecrets: readonly string[];
  /** If undefined, the API rejects all interactions of Slack. */
  slack?: SlackAccess | undefined;
  outgoing: OutgoingHttpClient;
  batchOperations: Operations;
  batchUploadLimits: BatchUploadLimits;
  /** How callers are authenticated. With `open`, callers are not authenticated and have all permissions. */
  auth: AuthSettings | 'open';
  protection: ProtectionSettings;
  cursors: Cursors;
  /** The metrics of requests; undefined if metrics are disabled. */
  httpMetrics?: HttpMetrics | undefined;
  links: WorkflowLinks;
  /** Called for each request with its route template, or with undefined if no route matches. */
  onRoute?: ((template: string | undefined) => void) | undefined;
  /** The secrets that sign the sessions of browsers. The first secret signs new sessions. */
  sessionSecrets: readonly string[];
  /** Links that the console shows to operators. */
  consoleLinks?: readonly { title: string; url: string }[] | undefined;
  /** The codec for the Web UI and the CLI. If undefined, the API has no codec routes. */
  codec?: PayloadCodec | undefined;
}
