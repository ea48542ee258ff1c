import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '../../src/temporal/sdk/histories.js';
import { projectRoot } from '../settings/environment.js';

/** Writes the history of a run to a file. Removes host names, process ids and folders of this machine. */
export async function writeHistory(file: string, handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<void> {
  const text = historyToJSON(await handle.fetchHistory());
  const anonymous = text
    .replaceAll(/"identity": "[^"]*"/g, '"identity": "recorder"')
    .replaceAll(/\b\d+@[\w.-]+/g, 'recorder')
    .replaceAll(projectRoot, '/app/');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${anonymous}\n`);
}
