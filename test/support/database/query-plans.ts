import { sql, type Expression } from 'kysely';
import { expect } from 'vitest';

/** An index that serves a filter reads about as many rows as it returns. */
const MAX_ROWS_READ = 2_000;

interface PlanNode {
  'Node Type': string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: PlanNode[];
}

interface ExplainableQuery {
  explain: (format: 'json', options: Expression<unknown>) => Promise<unknown>;
}

/** Runs the query, and expects that indexes serve it: no scan of a table, and few rows that the query does not return. */
export async function expectReadByIndex(query: ExplainableQuery, maxRowsRead = MAX_ROWS_READ): Promise<void> {
  const [
    {
      'QUERY PLAN': [{ Plan: plan }],
    },
  ] = (await query.explain('json', sql`analyze`)) as [{ 'QUERY PLAN': [{ Plan: PlanNode }] }];

  const scans = scansOf(plan);
  expect(scans.map((scan) => scan['Node Type'])).not.toContain('Seq Scan');
  const rowsRead = scans.reduce(
    (sum, scan) => sum + (scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)) * scan['Actual Loops'],
    0,
  );
  expect(rowsRead, JSON.stringify(plan)).toBeLessThanOrEqual(maxRowsRead);
}

/** The nodes of a plan that read the table or an index. */
const scansOf = (node: PlanNode): PlanNode[] => [
  ...(node['Node Type'].includes('Scan') ? [node] : []),
  ...(node.Plans ?? []).flatMap(scansOf),
];
