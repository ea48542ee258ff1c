import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { formatCount } from '../measurement/statistics.js';
import { projectRoot } from '../stack/settings/project.js';
import { EVENTS_PER_CARRIER_POLL, TEMPORAL_LIMITS } from './temporal-limits.js';

export const LIMIT_TABLE_PATH = join(projectRoot, 'docs/limits.md');

const INTRODUCTION = `# Limits

<!-- Generated from tools/openapi/limits-page.ts by "npm run openapi"; test/project/temporal-limits.test.ts fails when a maximum exceeds the limit of Temporal. -->

The limits of Temporal, and the largest values that this project can reach. The limits are the defaults of server 1.32. The last
column names the setting on a self-hosted server. The maxima are computed from the constants in the code.
`;

const OTHER_LIMITS = `
Other bounds:

- **A cart** lives for years. It continues as new when the server suggests it: at 4,096 events, 4 MB or 1,800 updates, long
  before the limits of 51,200 events, 50 MB, 2,000 updates and 10,000 signals.
- **An order** writes about 42 events when no step fails. A repeated report of the carrier, recognized by its \`webhook-id\`, adds
  no event. An order that waits for an operator has no timeout: it polls the carrier once a day, which adds
  ${EVENTS_PER_CARRIER_POLL} events. It reaches the limit of events after more than ten years, unless an operator decides.
- **Updates of an order** (2,000 accepted by a run): the workflow rejects a repeated cancellation, which writes no event and does
  not count. Each decision of an operator counts. When a run accepts no further updates, the API sends the decisions
  \`resolveCompensation\` and \`resolveDelivery\` as signals.
- **Updates of an approval** (2,000 accepted by a run): the workflow rejects a repeated decision without a new comment, and a
  repeated withdrawal. The API returns the outcome in both cases. At the limit, the API stores further comments on a decided
  approval in the database. For a pending approval it returns \`409 update-limit\`; decisions are then possible by webhook or
  signal.
- **Signals** (10,000 to a run): a cart continues as new before. After 5,000 pauses and resumes, a batch accepts no further ones
  and keeps running. After 10,000 decisions by signal, an approval accepts no further signals and keeps running.
- **Bytes of a history** (50 MB): tests in \`test/workflows\` compare the largest approval and the largest batch with the limit.
- **A workflow task** may take ten seconds.
- **A payload from another sender** may have at most 32 levels and 1.9 MB when it is serialized again. A larger payload is
  unreadable (docs/security.md). A failure message has at most 8,000 characters, a reason 1,000, and a failure at most ten causes.
- **Data larger than a payload** is never sent: batch items stay in PostgreSQL, and workflows pass references to them.
`;

/** Renders the limits as a page of the documentation. */
export async function renderLimitTable(): Promise<string> {
  const rows = TEMPORAL_LIMITS.map(
    ({ name, temporalMaximum, reachedBy, projectMaximum, setting }) =>
      `| ${name} | ${formatCount(temporalMaximum)} | ${formatCount(projectMaximum)} | ${reachedBy} | ${setting.includes(' ') ? setting : `\`${setting}\``} |`,
  );
  const table = [
    '| what Temporal limits | limit | maximum here | reached by | setting |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
  const config = await resolveConfig(LIMIT_TABLE_PATH);
  return await format(`${INTRODUCTION}\n${table}\n${OTHER_LIMITS}`, { ...config, parser: 'markdown' });
}
