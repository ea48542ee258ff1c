import { join } from 'node:path';
import type { OpenAPIV3_1 } from 'openapi-types';
import { projectRoot } from '../settings/environment.js';
import { formatPage, renderTable } from './markdown.js';

export const HTTP_API_PAGE_PATH = join(projectRoot, 'docs/reference/http-api.md');

const INTRODUCTION = `# HTTP API

<!-- The table of operations is generated from the routes by "npm run openapi"; the texts are in tools/openapi/http-api-page.ts. -->

The API serves its reference at \`/docs\`. With \`npm start\`, the address is <http://127.0.0.1:3000/docs>.
[\`openapi.json\`](../../openapi.json) is the contract in OpenAPI 3.1, generated from the schemas that parse the requests.
The client in [\`tools/api-client\`](../../tools/api-client/client.ts) shows how to use the contract from TypeScript.

## Operations

A caller needs one of the roles in the last column. Operations without a role need no API key: they are public, or they
verify a signature or the token of a link.
`;

const DETAILS = `
## Errors

Every error response is \`application/problem+json\` (RFC 9457). [Problems](problems.md) lists all kinds. A \`400\` response
contains the JSON pointer of each invalid field. A \`503\` response has a \`Retry-After\` header and names the unavailable
part: Temporal, the database, or the worker of a task queue. The API accepts orders even while no worker runs. HTML pages return errors as HTML.

## Authentication

Without \`API_KEYS\` and \`JWT_ISSUER\`, the API has no authentication: every caller has all permissions. In this mode, the
API logs a warning and accepts only requests to a local host name. It does not start on an address that other machines
can reach. To create an API key:

\`\`\`sh run
npm run --silent api-key -- ada --role shopper
\`\`\`

\`\`\`text output
…
  wop_…
…
  {"id":"ada","roles":["shopper"],"hashes":["…"]}
…
\`\`\`

Start the API with the entry of the key, and send the key with each request:

\`\`\`sh
API_KEYS='[{"id":"ada","roles":["shopper"],"hashes":["…"]}]' npm start
curl -s http://127.0.0.1:3000/v1/orders -H 'X-API-Key: wop_…'
\`\`\`

| role | permissions |
| --- | --- |
| \`shopper\` | places, reads and cancels their own orders, and fills their own carts. Resources of other customers return \`404\` |
| \`operator\` | reads everything, changes all orders and carts, resolves compensations, runs batches, requests and withdraws approvals |
| \`approver\` | decides in their own name; reads approvals that they decide or request; lists their pending approvals; requests approvals |
| \`inspector\` | decrypts the payloads of all workflows in the Web UI and the CLI, see [encryption](../operations/security.md#encryption) |
| carrier, systems | none: their callbacks are signed |

The id of a key is the customer id or the approver id of its owner. With two hashes in an entry, the old key and the new
key are valid at the same time.

With \`JWT_ISSUER\`, \`JWT_AUDIENCE\` and \`JWT_JWKS_URL\`, the API also accepts bearer tokens. The claim \`sub\` is the id, and
the claim \`roles\` contains the roles (\`JWT_ID_CLAIM\`, \`JWT_ROLES_CLAIM\`).
[Caller ids](../operations/security.md#caller-ids) describes the mapping. A caller sends a key as \`X-API-Key\` or as a
bearer token, not both. \`npm run batch\` and \`npm run tour\` read their key from \`API_KEY\`. The batch command needs the role
\`operator\`. The tour needs a key with the id \`shift-lead\` and the roles \`shopper\`, \`operator\` and \`approver\`.

All callers share the order ids and the approval ids. If a caller uses an existing id of another caller with different
content, the API returns \`409\`.

## Idempotency

Every \`POST\`, \`PATCH\` and \`DELETE\` under \`/v1\` accepts an \`Idempotency-Key\` (callbacks have a \`webhook-id\` or an event id instead). A key
belongs to its caller, method and path.

- **Same key, same content:** for 24 hours (\`IDEMPOTENCY_KEY_RETENTION_HOURS\`), each API process returns the first response again with
  \`idempotent-replayed: true\`, even after a restart. After this time, a repeated request has no second effect as long as
  Temporal keeps the workflow.
- **The first request is still running:** the API returns \`409 request-in-progress\` with \`Retry-After\`. If the process
  that handles the first request dies, the API returns this error for up to 30 seconds.
- **Same key, different content:** the API returns \`422 idempotency-key-reused\`.
- **The request was rejected before any effect (\`400\`, \`401\`, \`403\`, \`404\`, \`429\`):** the response is not stored.
- **The response was \`5xx\`:** the request may have had an effect, so the key stays bound to this request.

The API derives the id of the update or signal in Temporal from the key, and also the id of an order, approval or batch if
the request contains no id. So a request has one effect even if the process dies before it responds. PostgreSQL stores only the response and a fingerprint of the request, because
Temporal does not keep them after the run ends. While PostgreSQL is unavailable, the API still accepts orders with an
\`Idempotency-Key\`. For approvals, carts and batches, the API returns \`503\`. [Idempotency](../concepts/idempotency.md)
explains how the layers below the API prevent a second effect.

## Limits of requests

- A body has at most 256 KiB and 32 levels of nesting, and must arrive within ten seconds. An upload has at most 1 GiB.
  An upload that sends less than 16 KiB a second for 30 seconds gets \`408\`.
  The headers have at most 16 KiB.
- A caller may send 6,000 requests a minute to each process (\`RATE_LIMIT_PER_MINUTE\`). The API counts requests
  without an accepted key by IP address. Behind a proxy, this is the address of the proxy. Without authentication, there is
  no rate limit.
- A process whose event loop is delayed by a second returns \`503 overloaded\`, except for \`/livez\` and \`/readyz\`.
- Cursors are signed: a cursor from another list, or from the same list with a different filter, returns \`400\`.
- Browsers may call the API only from the origins in \`CORS_ORIGINS\`.

## Several API processes

You can run several API processes behind one address. They must share the database, Temporal, \`API_KEYS\` and the secrets
(\`CURSOR_SECRET\`, \`APPROVAL_LINK_SECRET\` and the webhook secrets). [Upgrades](../operations/upgrades.md) describes the
order of a deployment.
`;

const METHODS = ['get', 'post', 'patch', 'delete'] as const;

/** Renders the documentation page of the HTTP API from its OpenAPI document. */
export async function renderHttpApiPage(document: OpenAPIV3_1.Document): Promise<string> {
  const rows = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item?.[method] as (OpenAPIV3_1.OperationObject & { 'x-roles'?: string[] }) | undefined;
      if (!operation) return [];
      const roles = (operation['x-roles'] ?? []).join(', ');
      return [[`\`${method.toUpperCase()} ${path}\``, operation.summary ?? '', roles]];
    }),
  );
  const table = renderTable(['operation', 'what it does', 'roles'], rows);
  return await formatPage(HTTP_API_PAGE_PATH, `${INTRODUCTION}\n${table}\n${DETAILS}`);
}
