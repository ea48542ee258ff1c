import type { Store } from '../../../src/store/index.js';
import { batchIdOf, batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import type { LoggedBatch, ClientLog } from '../client-log.js';
import type { Evidence } from './evidence.js';
import { isAnyAccepted, type Findings } from './findings.js';

/**
 * Checks that every accepted batch counts all uploaded items, and that the stock contains each successful item once.
 */
export async function auditBatches(
  { batches, products }: ClientLog,
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
      findings.addViolation(workflowId, 'exists, but no client requested it');
  }
}

async function auditBatch(
  batch: LoggedBatch,
  products: ClientLog['products'],
  evidence: Evidence,
  store: Store,
  findings: Findings,
): Promise<void> {
  const { batchId, lineCount, invalidLines, quantityBySku } = batch;
  const workflowId = batchWorkflowId(batchId);
  findings.compareResponses(workflowId, batch);
  const isAccepted = isAnyAccepted([batch]);
  if (isAccepted) findings.accepted['batch items'] += lineCount;

  const progress = await store.countBatchProgress(batchId);
  const counted = progress ? progress.succeeded + progress.failed : 0;
  findings.effects['batch items'] += counted;
  const [run, ...more] = evidence.runsOf(workflowId);
  if (more.length > 0) findings.addDuplicate(workflowId, `ran ${more.length + 1} times`);
  if (!progress || !run) {
    if (isAccepted)
      findings.addLost(workflowId, progress ? 'was accepted, but never ran' : 'was accepted, but does not exist');
    return;
  }
  if (run.status !== 'COMPLETED')
    findings.addViolation(workflowId, `is ${run.status.toLowerCase()}, which is not a valid end`);
  if (progress.total !== lineCount || counted !== lineCount)
    findings.addViolation(
      workflowId,
      `has ${progress.total} items and counts ${counted}, but ${lineCount} were uploaded`,
    );

  const failures = await store.listBatchFailures(batchId, { limit: lineCount });
  const failed = failures.map(({ line }) => line);
  const missing = invalidLines.filter((line) => !failed.includes(line));
  if (missing.length > 0) findings.addViolation(workflowId, `applied invalid lines ${missing.join(', ')}`);
  const unprocessed = failed.filter((line) => !invalidLines.includes(line));
  if (unprocessed.length > 0) findings.addLost(workflowId, `did not apply valid lines ${unprocessed.join(', ')}`);
  for (const [sku, wanted] of Object.entries(quantityBySku)) {
    const refused = failures.filter(({ item }) => (item as { sku: string }).sku === sku).length;
    const before = products.find((product) => product.sku === sku)?.available ?? 0;
    const there = (evidence.stockBySku.get(sku) ?? 0) - before;
    const what = `added ${there} x ${sku} to the stock, not ${wanted - refused}`;
    if (there < wanted - refused) findings.addLost(workflowId, what);
    if (there > wanted - refused) findings.addDuplicate(workflowId, what);
  }
}
