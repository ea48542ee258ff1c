import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import type { SampleCaseInput } from '../../../src/schemas/sample-case.js';
import {
  completeSampleCaseUpdate,
  SAMPLE_CASE_TASK_QUEUE,
  sampleCaseQuery,
  sampleCaseWorkflowId,
} from '../../../src/workflows/sample-case/contract.js';
import type { sampleCase } from '../../../src/workflows/sample-case/workflow.js';
import { makeSampleCase } from '../../support/shop/sample-cases.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { beforeAllAndRetries } from '../../support/temporal/before-all-and-retries.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../../support/temporal/time-skipping-server.js';

describeWithTimeSkipping('a sample case', () => {
  let env: TestWorkflowEnvironment;
  let shop: Shop;

  beforeAllAndRetries(async () => {
    const server = await startTimeSkippingServer();
    env = server.env;
    shop = await startShop(server, { queues: [SAMPLE_CASE_TASK_QUEUE] });
    return shop.close;
  });

  async function start(overrides: Partial<SampleCaseInput> = {}) {
    const input = makeSampleCase(overrides);
    const { sampleCaseId, contact } = input;
    const handle = await shop.client.workflow.start<typeof sampleCase>('sampleCase', {
      workflowId: sampleCaseWorkflowId(sampleCaseId),
      taskQueue: SAMPLE_CASE_TASK_QUEUE,
      args: [input],
    });
    const subjects = async () => (await shop.fakes.mailbox.mailsTo(contact)).map(({ subject }) => subject);
    return { sampleCaseId, handle, subjects };
  }

  test('sends one e-mail when the sample case is completed', async () => {
    const { sampleCaseId, handle, subjects } = await start();
    await env.sleep(60_000);
    expect(await handle.query(sampleCaseQuery)).toMatchObject({ status: 'open' });

    expect(await handle.executeUpdate(completeSampleCaseUpdate)).toMatchObject({ status: 'completed' });

    expect(await handle.result()).toMatchObject({ sampleCaseId, status: 'completed' });
    expect(await subjects()).toEqual([`Sample case ${sampleCaseId}: completed`]);
  });

  test('expires after its time, and sends one e-mail', async () => {
    const { sampleCaseId, handle, subjects } = await start();

    expect(await handle.result()).toMatchObject({ sampleCaseId, status: 'expired' });
    expect(await subjects()).toEqual([`Sample case ${sampleCaseId}: expired`]);
  });

  test('fails with InvalidInput and sends nothing for input that the schema rejects', async () => {
    const { handle, subjects } = await start({ expiresAfterSeconds: 0 });

    await expect(handle.result()).rejects.toMatchObject({ cause: { cause: { type: 'InvalidInput' } } });
    expect(await subjects()).toEqual([]);
  });
});
