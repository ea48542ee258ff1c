import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import type { ApprovalLinkSigner } from '../approval-links/links.js';
import type { Operations } from '../batch-operations/index.js';
import type { OutgoingHttpClient } from '../http-client/outgoing-http-client.js';
import type { Logger } from '../observability/logger.js';
import type { HttpMetrics } from '../observability/metrics/http.js';
import type { Store } from '../store/index.js';
import type { AuthSettings } from './plugins/auth/index.js';
import type { CodecSessions } from './plugins/auth/sessions.js';
import type { Cursors } from './http/cursors.js';
import type { ProtectionSettings } from './plugins/protection.js';

/** The dependencies of most features: Temporal and the store. */
export interface Backends {
  client: Client;
  store: Store;
}

/** The dependencies of the HTTP application. Each feature declares which of them it uses. */
export interface AppDependencies extends Backends {
  logger: Logger;
  /** The secrets with which the carrier signs webhooks. */
  carrierWebhookSecrets: readonly string[];
  /** The secrets with which external systems sign their decisions about approvals. */
  approvalWebhookSecrets: readonly string[];
  approvalLinks: ApprovalLinkSigner;
  outgoing: OutgoingHttpClient;
  batchOperations: Operations;
  /** `maxBytes` limits the size of an upload, `maxLineLength` the number of characters in a line. */
  uploadLimits: { maxBytes: number; maxLineLength: number };
  /** How callers are authenticated. With `open`, callers are not authenticated and have all permissions. */
  auth: AuthSettings | 'open';
  protection: ProtectionSettings;
  cursors: Cursors;
  /** The metrics of requests; undefined if metrics are disabled. */
  httpMetrics?: HttpMetrics | undefined;
  /** Called for each request with its route template, or with undefined if no route matches. */
  onRoute?: ((template: string | undefined) => void) | undefined;
  /** The codec for the Web UI and the CLI. If undefined, the API has no codec routes. */
  codec?: { payloads: PayloadCodec; sessions: CodecSessions } | undefined;
}
