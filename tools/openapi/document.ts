import { join } from 'node:path';
import type { OpenAPIV3_1 } from 'openapi-types';
import { buildApp } from '../../src/api/app.js';
import { createCursors } from '../../src/api/http/lists/cursors.js';
import { createApprovalLinkSigner } from '../../src/approval-links/links.js';
import { createPayloadCodec } from '../../src/temporal/encryption/codec.js';
import { createLogger } from '../../src/observability/logger.js';
import { operations } from '../../src/batch-operations/index.js';
import { createOutgoingHttpClient } from '../../src/http-client/outgoing-http-client.js';
import { openStore } from '../../src/store/index.js';
import { createClient } from '../../src/temporal/connections.js';
import { CONFIGURATION_PAGE_PATH, renderConfigurationPage } from './configuration-page.js';
import { COST_PAGE_PATH, renderCostPage } from './cost-page.js';
import { HTTP_API_PAGE_PATH, renderHttpApiPage } from './http-api-page.js';
import { LIMIT_TABLE_PATH, renderLimitTable } from './limits-page.js';
import { PROBLEM_TABLE_PATH, renderProblemTable } from './problems-page.js';
import { projectRoot } from '../settings/environment.js';

/** Returns the generated files that are committed, by path: the OpenAPI document and five pages of documentation. */
export async function generatedFiles(): Promise<Record<string, string>> {
  const document = await openApiDocument();
  return {
    [join(projectRoot, 'openapi.json')]: `${JSON.stringify(document, undefined, 2)}\n`,
    [HTTP_API_PAGE_PATH]: await renderHttpApiPage(document),
    [PROBLEM_TABLE_PATH]: await renderProblemTable(),
    [LIMIT_TABLE_PATH]: await renderLimitTable(),
    [CONFIGURATION_PAGE_PATH]: await renderConfigurationPage(),
    [COST_PAGE_PATH]: await renderCostPage(),
  };
}

/** Returns the OpenAPI document that the API serves. Builds the API without connections, because no route is called. */
export async function openApiDocument(): Promise<OpenAPIV3_1.Document> {
  const outgoing = createOutgoingHttpClient({ allowedHosts: [], allowPrivateAddresses: false });
  const client = createClient({ TEMPORAL_ADDRESS: '127.0.0.1:1', TEMPORAL_NAMESPACE: 'default' });
  const store = openStore({
    databaseUrl: 'postgres://127.0.0.1:1/none',
    maxConnections: 1,
    onIdleError: () => undefined,
  });
  const app = await buildApp({
    client,
    store,
    outgoing,
    batchOperations: operations,
    logger: createLogger('api', 'silent'),
    carrierWebhookSecrets: [],
    approvalWebhookSecrets: [],
    stripeWebhookSecrets: [],
    approvalLinks: createApprovalLinkSigner(['unused-secret-of-the-documentation']),
    batchUploadLimits: {
      maxBytes: 0,
      maxLineLength: 0,
      maxUploads: 0,
      maxUploadsPerCaller: 0,
      minBytesPerSecond: 0,
      speedCheckMs: 0,
    },
    auth: 'open',
    protection: { corsOrigins: [], codecOrigins: [], hstsMaxAgeSeconds: 0, maxEventLoopDelayMs: 0 },
    cursors: createCursors(['unused-secret-of-the-documentation']),
    sessionSecrets: [],
    codec: createPayloadCodec({ keys: [], namespace: 'default' }),
    links: {},
  });
  try {
    await app.ready();
    return app.swagger() as OpenAPIV3_1.Document;
  } finally {
    await app.close();
    await client.connection.close();
    await outgoing.close();
    await store.close();
  }
}
