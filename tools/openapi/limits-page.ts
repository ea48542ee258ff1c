import { join } from 'node:path';
import { formatCount } from '../measurement/statistics.js';
import { projectRoot } from '../settings/environment.js';
import { formatPage, renderTable } from './markdown.js';
import { EVENTS_PER_CARRIER_POLL, TEMPORAL_LIMITS } from './temporal-limits.js';

export const LIMIT_TABLE_PATH = join(projectRoot, 'docs/reference/limits.md');

const INTRODUCTION = `# Limits

<!-- Generated from tools/openapi/limits-page.ts by "npm run openapi"; test/project/temporal-limits.test.ts fails when a maximum exceeds the limit of Temporal. -->

This page lists the limits of Temporal and the largest values that this project can reach. The limits are the defaults of
server 1.32. The last column names the setting on a self-hosted server. The maximum values of this project are computed from
the constants in the code.
`;

const OTHER_LIMITS = `
Other limits:

- **A cart** can stay open for years. The server suggests continue-as-new at 4,096 events, 4 MB or 1,800 updates, and
  the cart then continues as new. The limits are 51,200 events, 50 MB, 2,000 updates and 10,000 signals.
- **An order** writes at most 42 events when no step fails. The order recognizes a repeated report of the carrier by its
  \`webhook-id\`, and the repeated report adds no event. An order that waits for an operator has no timeout and polls
  the carrier once a day. Each poll adds ${EVENTS_PER_CARRIER_POLL} events. If no operator decides, the order reaches the limit of events
  after more than ten years.
- **Updates of an order**: a run accepts at most 2,000 updates. The workflow rejects a repeated cancellation. The
  rejected update writes no event and does not count. Each decision of an operator counts. When a run accepts no further
  updates, the API sends the decisions \`resolveCompensation\` and \`resolveDelivery\` as signals.
- **Updates of an approval**: a run accepts at most 2,000 updates. The workflow rejects a repeated decision without a
  new comment, and a repeated withdrawal. The API returns the outcome in both cases. At the limit, the API stores
  further comments on a decided approval in the database. For a pending approval, the API returns \`409 update-limit\`.
  Approvers can then still decide by webhook or signal.
- **Signals**: a run accepts at most 10,000 signals. A cart continues as new before this limit. After 5,000 pauses and
  resumes, a batch accepts no further pauses and resumes, but continues to run. After 10,000 decisions by signal, an
  approval accepts no further signals, but continues to run.
- **Bytes of a history**: a history may have at most 50 MB. Tests in \`test/workflows\` compare the largest approval and
  the largest batch with this limit.
- **A workflow task** may take at most ten seconds, and five seconds for an order that the API or a cart starts.
- **A payload from another sender** may have at most 32 levels of nesting, and at most 1.9 MB after it is serialized
  again. A larger payload is unreadable, see [security](../operations/security.md#payloads-from-other-senders). A
  failure message may have at most 8,000 characters, a reason at most 1,000 characters, and a failure at most ten causes.
- **Data above the payload size limit** is never sent to Temporal. Batch items stay in PostgreSQL, and workflows pass
  references to the items.
`;

/** Renders the documentation page of the limits. */
export async function renderLimitTable(): Promise<string> {
  const rows = TEMPORAL_LIMITS.map(({ name, temporalMaximum, reachedBy, projectMaximum, setting }) => [
    name,
    formatCount(temporalMaximum),
    formatCount(projectMaximum),
    reachedBy,
    setting.includes(' ') ? setting : `\`${setting}\``,
  ]);
  const table = renderTable(['limited value', 'limit', 'maximum in this project', 'reached by', 'setting'], rows);
  return await formatPage(LIMIT_TABLE_PATH, `${INTRODUCTION}\n${table}\n${OTHER_LIMITS}`);
}
