import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SampleCaseView } from '../../../src/schemas/sample-case.js';
import { SAMPLE_CASE_TASK_QUEUE } from '../../../src/workflows/sample-case/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { makeSampleCase } from '../../support/shop/sample-cases.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('the routes of sample cases', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: [SAMPLE_CASE_TASK_QUEUE] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function start(): Promise<string> {
    const input = makeSampleCase();
    expect(await api.post('/v1/sample-cases', input)).toMatchObject({ status: 202 });
    return `/v1/sample-cases/${input.sampleCaseId}`;
  }

  test('starts a sample case, returns it, and completes it', async () => {
    const path = await start();
    expect((await api.get<SampleCaseView>(path)).body).toMatchObject({ status: 'open' });

    const completed = await api.post<SampleCaseView>(`${path}/complete`);

    expect(completed).toMatchObject({ status: 200, body: { status: 'completed' } });
    expect((await api.get<SampleCaseView>(path)).body).toEqual(completed.body);
    expect(await api.post(`${path}/complete`)).toMatchObject({ status: 200, body: completed.body });
  });

  test('rejects an id that exists with different content with 409', async () => {
    const input = makeSampleCase();
    expect(await api.post('/v1/sample-cases', input)).toMatchObject({ status: 202 });
    expect(await api.post('/v1/sample-cases', input)).toMatchObject({ status: 202 });
    expect(await api.post('/v1/sample-cases', { ...input, expiresAfterSeconds: 60 })).toMatchObject({ status: 409 });
  });

  test('rejects the completion of an expired sample case with 409', async () => {
    const input = makeSampleCase({ expiresAfterSeconds: 1 });
    await api.post('/v1/sample-cases', input);
    await shop.client.workflow.getHandle(`sampleCase:${input.sampleCaseId}`).result();

    expect(await api.post(`/v1/sample-cases/${input.sampleCaseId}/complete`)).toMatchObject({ status: 409 });
  });

  test('returns 404 for a sample case that does not exist', async () => {
    expect(await api.get('/v1/sample-cases/none')).toMatchObject({ status: 404 });
  });
});
