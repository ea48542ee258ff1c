import type { Store } from '../../../src/store/index.js';
import { batchIdOf, batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import type { AskedBatch, Ledger } from '../ledger.js';
import type { Evidence } from './evidence.js';
import { isPromised, type Findings } from './findings.js';

/**
 * Checks that every accepted batch counts as many items as were uploaded, and that the stock contains each successful
 * item once.
 */
export async function auditBatches(
  { batches, products }: Ledger,
  evidence: Evidence,
  store: Store,
  findings: Findings,
): Promise<void> {
  for (const batch of batches) await auditBatch(batch, products, evidence, store, findings);

  const known = new Set(batches.map(({ batchId }) => batchId));
  for (const { workflowId, type } of evidence.runs) {
    // The workflow id of a child starts with the id of its batch.
    const [batchId = ''] = batchIdOf(workflowId).split('/');
    if (type.startsWith('batch') && !known.has(batchId))
      findings.violate(workflowId, 'is there, and nobody asked for it');
  }
}

async function auditBatch(
  batch: AskedBatch,
  products: Ledger['products'],
  evidence: Evidence,
  store: Store,
  findings: Findings,
): Promise<void> {
  const { batchId, lines, bad, pieces } = batch;
  const workflowId = batchWorkflowId(batchId);
  findings.compareAnswers(workflowId, batch);
  const isAccepted = isPromised([batch]);
  if (isAccepted) findings.accepted['batch items'] += lines;

  const tally = await store.tallyBatch(batchId);
  const counted = tally ? tally.succeeded + tally.failed : 0;
  findings.effects['batch items'] += counted;
  const [run, ...more] = evidence.runsOf(workflowId);
  if (more.length > 0) findings.double(workflowId, `ran ${more.length + 1} times`);
  if (!tally || !run) {
    if (isAccepted) findings.lose(workflowId, tally ? 'was accepted, and never ran' : 'was accepted, and is not there');
    return;
  }
  if (run.status !== 'COMPLETED') findings.violate(workflowId, `is ${run.status.toLowerCase()}, and that is no end`);
  if (tally.total !== lines || counted !== lines)
    findings.violate(workflowId, `has ${tally.total} items and counts ${counted}, but ${lines} were uploaded`);

  const failures = await store.listFailures(batchId, { limit: lines });
  const failed = failures.map(({ line }) => line);
  const missing = bad.filter((line) => !failed.includes(line));
  if (missing.length > 0) findings.violate(workflowId, `did what no rule allows, lines ${missing.join(', ')}`);
  const undone = failed.filter((line) => !bad.includes(line));
  if (undone.length > 0) findings.lose(workflowId, `did not do what every rule allows, lines ${undone.join(', ')}`);
  for (const [sku, wanted] of Object.entries(pieces)) {
    const refused = failures.filter(({ item }) => (item as { sku: string }).sku === sku).length;
    const before = products.find((product) => product.sku === sku)?.available ?? 0;
    const there = (evidence.stock.get(sku) ?? 0) - before;
    const what = `added ${there} x ${sku} to the stock, not ${wanted - refused}`;
    if (there < wanted - refused) findings.lose(workflowId, what);
    if (there > wanted - refused) findings.double(workflowId, what);
  }
}
