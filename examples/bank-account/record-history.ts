import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { writeHistory } from '../../tools/recordings/history-file.js';
import { accountWorkflowId } from './contract.js';

/**
 * Writes the history of the current run of an account to `histories/`, for the replay test: `node tools/run.mjs
 * examples/bank-account/record-history.ts <account id>`
 */
const [, , accountId] = process.argv;
if (!accountId) throw new Error('Usage: node tools/run.mjs examples/bank-account/record-history.ts <account id>');

const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '127.0.0.1:7233' });
const handle = new Client({ connection }).workflow.getHandle(accountWorkflowId(accountId));
await writeHistory(join(import.meta.dirname, 'histories', `${accountId}.json`), handle);
await connection.close();
