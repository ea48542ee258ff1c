import { join } from 'node:path';
import { definitionOf, PROBLEM_KINDS, type ProblemKind } from '../../src/api/problems/problem-kinds.js';
import { projectRoot } from '../settings/environment.js';
import { formatPage, renderTable } from './markdown.js';

export const PROBLEM_TABLE_PATH = join(projectRoot, 'docs/reference/problems.md');

const INTRODUCTION = `# Problems

<!-- Generated from src/api/problems/problem-kinds.ts; test/api/problems/problem-kinds.test.ts has one test for each row. -->

The API returns every error as a problem document of [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457), with the content type
\`application/problem+json\`. The field \`type\` is \`/problems/<kind>\`. At this path, the API serves a page that explains the
problem. The field \`requestId\` is also in the header \`x-request-id\` and in the log. The field \`errors\` names invalid fields
by their JSON pointers. The pages behind links in e-mails return errors as HTML.

The status and the meaning of a kind never change. Every request can be repeated safely with the same \`Idempotency-Key\`. The
last column says whether a retry can succeed. A number of seconds in this column is also in the header \`Retry-After\`.
`;

/** Renders the documentation page of the problem kinds. */
export async function renderProblemTable(): Promise<string> {
  const table = renderTable(['kind', 'status', 'when', 'retry'], PROBLEM_KINDS.map(cellsOf));
  return await formatPage(PROBLEM_TABLE_PATH, `${INTRODUCTION}\n${table}`);
}

function cellsOf(kind: ProblemKind): string[] {
  const { status, when, retryAfter } = definitionOf(kind);
  const again = retryAfter ? `after ${retryAfter} s` : status === 500 ? 'maybe' : 'no';
  return [`\`${kind}\``, String(status), when, again];
}
