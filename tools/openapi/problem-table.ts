import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { definitionOf, PROBLEM_KINDS, type ProblemKind } from '../../src/api/plugins/problem-kinds.js';
import { projectRoot } from '../stack/settings.js';

export const PROBLEM_TABLE_PATH = join(projectRoot, 'docs/problems.md');

const INTRODUCTION = `# Problems

<!-- Generated from src/api/plugins/problem-kinds.ts; test/api/plugins/problem-kinds.test.ts has one test for each row. -->

Every error of the API is a problem of [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457), as \`application/problem+json\`.
Its \`type\` is \`/problems/<kind>\`, and the API has a page there. \`requestId\` is in the header \`x-request-id\` and in
the log as well. \`errors\`, if there are any, name the wrong fields by JSON pointers. What a mail links to is for people:
there, errors are pages.

A kind keeps its status and its meaning. The same \`Idempotency-Key\` makes every repetition safe; where the last column has
a number of seconds, which is also in \`Retry-After\`, a repetition may succeed.
`;

/** Renders the table of all problem kinds as a page of the documentation. */
export async function renderProblemTable(): Promise<string> {
  const rows = PROBLEM_KINDS.map(formatRow);
  const table = ['| Kind | Status | When | Again? |', '| --- | --- | --- | --- |', ...rows].join('\n');
  const config = await resolveConfig(PROBLEM_TABLE_PATH);
  return await format(`${INTRODUCTION}\n${table}\n`, { ...config, parser: 'markdown' });
}

function formatRow(kind: ProblemKind): string {
  const { status, when, retryAfter } = definitionOf(kind);
  const again = retryAfter ? `after ${retryAfter} s` : status === 500 ? 'perhaps' : 'no';
  return `| \`${kind}\` | ${status} | ${when} | ${again} |`;
}
