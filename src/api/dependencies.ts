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

/** What most features need: Temporal, and the store. */
export interface Backends {
  client: Client;
  store: Store;
}

/** What the HTTP application needs. Each feature declares the part that it uses. */
export interface AppDependencies extends Backends {
  logger: Logger;
  /** A webhook that is signed with one of these comes from the carrier. */
  carrierWebhookSecrets: readonly string[];
  /** A webhook that is signed with one of these comes from a system that approves. */
  approvalWebhookSecrets: readonly string[];
  approvalLinks: ApprovalLinkSigner;
  outgoing: OutgoingHttpClient;
  batchOperations: Operations;
  /** Maximum size of an upload in bytes, and of one of its lines in characters. */
  uploadLimits: { maxBytes: number; maxLineLength: number };
  /** Who may call. `open`: every caller who reaches the API may do everything. */
  auth: AuthSettings | 'open';
  protection: ProtectionSettings;
  cursors: Cursors;
  /** Measures the requests, if metrics are enabled. */
  httpMetrics?: HttpMetrics | undefined;
  /** Called with the route template of each request while the request is in flight; undefined if no route matches. */
  onRoute?: ((template: string | undefined) => void) | undefined;
  /** The codec of encrypted payloads for the Web UI and the CLI; without it, its routes do not exist. */
  codec?: { payloads: PayloadCodec; sessions: CodecSessions } | undefined;
}
