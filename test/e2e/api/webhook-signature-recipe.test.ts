import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { approvalInput } from '../../../src/schemas/approval.js';
import { APPROVAL_WEBHOOK_SECRET } from '../../support/shop/test-activities.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { startShop, type Shop } from '../../support/shop/shop.js';

const root = new URL('../../../', import.meta.url);

describeOnDevServer('the callback signing recipe of the README', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { withWorker: false });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  test('the API accepts a callback that is signed as the README describes', async () => {
    const question = approvalInput.parse(JSON.parse(await readFile(new URL('examples/approval.json', root), 'utf8')));
    expect((await api.post('/v1/approvals', question)).status).toBe(202);
    const readme = await readFile(new URL('README.md', root), 'utf8');
    const recipe = [...readme.matchAll(/```sh\n(.*?)```/gs)]
      .map(([, code]) => code!)
      .find((code) => code.includes('openssl'));
    const typed = recipe!
      .replace(/^secret=.*$/m, `secret=${APPROVAL_WEBHOOK_SECRET}`)
      .replace('http://127.0.0.1:3000', api.url);

    const { stdout } = await promisify(execFile)('bash', ['-euc', typed], { timeout: 20_000 });

    expect(JSON.parse(stdout)).toEqual({ status: 'accepted' });
  });
});
