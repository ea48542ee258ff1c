import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { beforeAll, expect, test } from 'vitest';
import { describeOnDevServer, startDevServer } from '../../test/support/temporal/dev-server.js';
import { useWorker } from '../../test/support/temporal/use-worker.js';
import '../../test/support/setup/quiet-runtime.js';
import { buildApi } from './api.js';
import { ACCOUNT_TASK_QUEUE, accountWorkflowId } from './contract.js';
import { AccountService } from './service.js';
import { createAccountWorker } from './worker.js';

describeOnDevServer('the API of the accounts', () => {
  // Without this setting, the server delays an immediate continue-as-new by one second.
  const startServer = () => startDevServer({ dynamicConfig: ['history.workflowIdReuseMinimalInterval="0s"'] });
  const tests = useWorker(startServer, ({ nativeConnection, namespace }) =>
    createAccountWorker(nativeConnection, namespace),
  );
  let api: FastifyInstance;
  beforeAll(() => {
    api = buildApi(new AccountService(tests.server.client));
  });

  async function post(url: string, amount: unknown, key: string = randomUUID()) {
    const response = await api.inject({
      method: 'POST',
      url,
      payload: { amount },
      headers: { 'idempotency-key': key },
    });
    return { status: response.statusCode, body: response.json<unknown>() };
  }
  async function get(url: string) {
    const response = await api.inject({ url });
    return { status: response.statusCode, body: response.json<unknown>() };
  }
  const newAccount = () => `/accounts/${randomUUID()}`;

  test('opens an account with the first deposit', async () => {
    const url = newAccount();

    expect(await post(`${url}/deposits`, 700, 'first')).toEqual({
      status: 200,
      body: { id: 'first', kind: 'deposit', amount: 700, balance: 700 },
    });
    expect(await post(`${url}/withdrawals`, 200)).toMatchObject({ status: 200, body: { balance: 500 } });
    expect(await get(url)).toEqual({ status: 200, body: { status: 'open', balance: 500 } });
  });

  test('rejects an overdraft with 422', async () => {
    const url = newAccount();
    await post(`${url}/deposits`, 700);

    expect(await post(`${url}/withdrawals`, 900)).toEqual({
      status: 422,
      body: { type: 'InsufficientFunds', message: 'the balance is 700' },
    });
  });

  test('returns the first receipt for a repeated idempotency key, and 422 for another request with this key', async () => {
    const url = newAccount();
    const first = await post(`${url}/deposits`, 700, 'key');

    expect(await post(`${url}/deposits`, 700, 'key')).toEqual(first);
    for (const other of [await post(`${url}/deposits`, 800, 'key'), await post(`${url}/withdrawals`, 700, 'key')]) {
      expect(other).toMatchObject({ status: 422, body: { type: 'IdempotencyKeyReused' } });
    }
    expect(await get(url)).toMatchObject({ body: { balance: 700 } });
  });

  test('rejects an invalid request with 400', async () => {
    expect(await post(`${newAccount()}/deposits`, 0.5)).toMatchObject({ status: 400 });
    expect((await api.inject({ method: 'POST', url: `${newAccount()}/deposits` })).statusCode).toBe(400);
  });

  test('responds 404 for an account that does not exist', async () => {
    const url = newAccount();

    expect(await get(url)).toMatchObject({ status: 404 });
    expect(await post(`${url}/withdrawals`, 1)).toMatchObject({ status: 404, body: { type: 'NoOpenAccount' } });
    expect((await api.inject({ method: 'DELETE', url })).statusCode).toBe(404);
  });

  test('does not open a closed account again', async () => {
    const url = newAccount();
    await post(`${url}/deposits`, 700);
    expect((await api.inject({ method: 'DELETE', url })).statusCode).toBe(202);

    expect(await post(`${url}/deposits`, 1)).toMatchObject({ status: 404, body: { type: 'NoOpenAccount' } });
    expect(await post(`${url}/withdrawals`, 1)).toMatchObject({ status: 404, body: { type: 'NoOpenAccount' } });
    expect(await get(url)).toEqual({ status: 200, body: { status: 'closed', balance: 700 } });
  });

  test('applies each of many concurrent deposits once while runs continue as new', async () => {
    const accountId = randomUUID();
    await tests.server.client.workflow.start('bankAccount', {
      workflowId: accountWorkflowId(accountId),
      taskQueue: ACCOUNT_TASK_QUEUE,
      args: [{ changesPerRun: 5 }],
    });
    const deposit = (key: string) => post(`/accounts/${accountId}/deposits`, 100, key);
    const statuses: number[] = [];
    // Temporal accepts ten updates at a time per workflow: five deposits, each sent twice.
    for (const round of [1, 2, 3, 4]) {
      const keys = [1, 2, 3, 4, 5].map((index) => `${round}.${index}`);
      const responses = await Promise.all([...keys, ...keys].map(deposit));
      statuses.push(...responses.map(({ status }) => status));
    }

    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await get(`/accounts/${accountId}`)).toMatchObject({ body: { balance: 2_000 } });
  });

  test('responds 503 while no worker runs, and continues with the same balance afterwards', async () => {
    const url = newAccount();
    await post(`${url}/deposits`, 700);
    await tests.stopWorker();
    const impatientApi = buildApi(new AccountService(tests.server.client, 500));
    const { statusCode } = await impatientApi.inject({ url });
    await tests.startWorker();

    expect(statusCode).toBe(503);
    expect(await get(url)).toEqual({ status: 200, body: { status: 'open', balance: 700 } });
  });
});
