import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historyToJSON } from '../../src/temporal/sdk/histories.js';
import type { ChaosResult } from './chaos-result.js';
import type { PlannedFault } from './faults/plan.js';
import type { ShopUnderTest } from './shop-under-test.js';

/** Saves the data for an investigation of the violations: logs, plan, client log, audit and histories. */
export async function saveArtifacts(
  folder: string,
  { client, copyLogs }: ShopUnderTest,
  result: Pick<ChaosResult, 'log' | 'audit' | 'violations'> & { plan: PlannedFault[] },
): Promise<void> {
  const { log, audit, violations, plan } = result;
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'histories'), { recursive: true });
  for (const [name, value] of Object.entries({ plan, 'client-log': log, audit, violations }))
    await writeFile(join(folder, `${name}.json`), JSON.stringify(value, null, 2));
  await copyLogs(join(folder, 'logs'));
  for (const workflowId of new Set(violations.map(({ workflowId }) => workflowId))) {
    // A violation can concern something that is not a workflow, such as a product.
    const history = await client.workflow
      .getHandle(workflowId)
      .fetchHistory()
      .catch(() => undefined);
    const file = `${workflowId.replaceAll(/[^\w.-]+/g, '-')}.json`;
    if (history) await writeFile(join(folder, 'histories', file), historyToJSON(history));
  }
}
