import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { definitionOf, PROBLEM_KINDS, type ProblemKind } from '../../src/api/problems/problem-kinds.js';
import { projectRoot } from '../stack/settings/project.js';

export const PROBLEM_TABLE_PATH = join(projectRoot, 'docs/problems.md');

const INTRODUCTION = `# Problems

<!-- Generated from src/api/problems/problem-kinds.ts; test/api/problems/problem-kinds.test.ts has one test for each row. -->

Every error of the API is a problem of [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457), sent as
\`application/problem+json\`. Its \`type\` is \`/problems/<kind>\`, where the API serves a page that explains it. \`requestId\` is
also in the header \`x-request-id\` and in the log. \`errors\` names invalid fields by their JSON pointers. Pages that are linked in
mails return errors as HTML.

The status and the meaning of a kind never change. With the same \`Idempotency-Key\`, every request can be repeated safely. The last
column says whether a repetition may succeed; the number of seconds is also in \`Retry-After\`.
`;

/** Renders the table of all problem kinds as a page of the documentation. */
export async function renderProblemTable(): Promise<string> {
  const rows = PROBLEM_KINDS.map(formatRow);
  const table = ['| kind | status | when | retry |', '| --- | --- | --- | --- |', ...rows].join('\n');
  const config = await resolveConfig(PROBLEM_TABLE_PATH);
  return await format(`${INTRODUCTION}\n${table}\n`, { ...config, parser: 'markdown' });
}

function formatRow(kind: ProblemKind): string {
  const { status, when, retryAfter } = definitionOf(kind);
  const again = retryAfter ? `after ${retryAfter} s` : status === 500 ? 'maybe' : 'no';
  return `| \`${kind}\` | ${status} | ${when} | ${again} |`;
}
