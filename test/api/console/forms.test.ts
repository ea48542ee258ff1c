import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Api } from '../../support/api/api.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { FROM_OWN_PAGE } from '../../support/api/sign-in.js';
import { startApiWithoutBackends } from '../../support/api/unreachable-backends.js';

const operator = createCaller(['operator']);

let api: Api;

beforeAll(async () => {
  api = await startApiWithoutBackends({ auth: authOf(operator) });
});
afterAll(() => api?.close());

test('the curl command of a form has the address of the request, with TLS except on this machine', async () => {
  const curlFor = async (host: string) => {
    const request = httpRequest(`${api.url}/console/start/order/curl`, {
      method: 'POST',
      headers: {
        ...FROM_OWN_PAGE,
        host,
        ...operator.authHeader,
        'content-type': 'application/x-www-form-urlencoded',
      },
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return await text(response);
  };
  expect(await curlFor('shop.example.com')).toContain('https://shop.example.com/v1/orders');
  expect(await curlFor('127.0.0.1:3000')).toContain('http://127.0.0.1:3000/v1/orders');
});
