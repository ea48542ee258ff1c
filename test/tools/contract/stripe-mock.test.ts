import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createStripePaymentGateway } from '../../../src/activities/external/payments/stripe/gateway.js';
import { runCase } from '../../../tools/contract/contract-case.js';
import { paymentCases } from '../../../tools/contract/payments/cases.js';
import { startFakeStripe } from '../../../tools/contract/payments/fake-partners.js';
import { findStripeMock } from '../../../tools/contract/payments/stripe-mock.js';
import { loadSettings } from '../../../tools/settings/settings.js';
import { silentReporter } from '../../../tools/terminal/reporter.js';
import { freePort, startProcess, waitUntil, type ManagedProcess } from '../../support/processes.js';

const BUILD_TIMEOUT_MS = 10 * 60_000;

interface RecordedRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

const isRequired = Boolean(process.env.REQUIRE_ALL_PROGRAMS);
const found = await findStripeMock({ settings: loadSettings(), report: silentReporter, allowBuild: isRequired }).catch(
  (error: unknown) => error as Error,
);
if (found instanceof Error && isRequired) throw found;
const title = found instanceof Error ? `stripe-mock (skipped: ${found.message})` : 'stripe-mock';

describe.skipIf(found instanceof Error)(title, { timeout: BUILD_TIMEOUT_MS }, () => {
  let mock: ManagedProcess;
  let mockUrl: string;
  beforeAll(async () => {
    const port = await freePort();
    mockUrl = `http://127.0.0.1:${port}`;
    const { path } = found as { path: string };
    mock = await startProcess({ name: 'stripe-mock', command: path, args: ['-http-addr', `127.0.0.1:${port}`] });
    await waitUntil(() => fetch(mockUrl).then(() => true as const), {
      description: 'a response of stripe-mock',
      timeoutMs: 60_000,
    });
  });
  afterAll(async () => {
    await mock?.stop();
  });

  test('accepts every request that the Stripe adapter makes in the contract suite', async () => {
    const requests = await recordContractRequests();
    const kinds = new Set(
      requests.map(({ method, url }) => `${method} ${url.split('?')[0]!.replace(/pi_\w+/, '<id>')}`),
    );
    expect([...kinds].sort()).toEqual([
      'GET /v1/payment_intents',
      'GET /v1/payment_intents/<id>',
      'GET /v1/payment_intents/search',
      'POST /v1/payment_intents',
      'POST /v1/payment_intents/<id>/cancel',
      'POST /v1/payment_intents/<id>/confirm',
      'POST /v1/refunds',
    ]);

    const rejected = [];
    for (const { method, url, headers, body } of requests) {
      const response = await fetch(mockUrl + url, { method, headers, ...(method === 'POST' && { body }) });
      const text = await response.text();
      if (response.status !== 200) rejected.push({ request: `${method} ${url} ${body}`, answer: text });
    }
    expect(rejected).toEqual([]);
  });
});

/** Runs the cases of the contract that need no fault, and returns the requests that the adapter made. */
async function recordContractRequests(): Promise<RecordedRequest[]> {
  const partner = await startFakeStripe();
  onTestFinished(() => partner.close?.());
  const requests: RecordedRequest[] = [];
  const proxy = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = '', url = '' } = request;
      const names = ['authorization', 'content-type', 'idempotency-key', 'stripe-version'];
      const headers = Object.fromEntries(
        names.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, String(request.headers[name])]])),
      );
      const body = Buffer.concat(chunks).toString();
      requests.push({ method, url, headers, body });
      const answer = await fetch(partner.url + url, { method, headers, ...(method === 'POST' && { body }) });
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
    })();
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const apiUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const { loseNextResponse: _lost, garbleNextResponse: _garbled, failNextRequest: _failed, ...rest } = partner;
  const { holdCharge: _held, ...faultless } = rest;
  const recorded = {
    ...faultless,
    createGateway: ({ findOrder }: Parameters<typeof partner.createGateway>[0]) =>
      createStripePaymentGateway({ secretKey: 'sk_test_123', apiUrl, findOrder }),
  };
  for (const contractCase of paymentCases) {
    const { outcome } = await runCase(contractCase, recorded);
    expect(outcome, contractCase.title).not.toBe('broken');
  }
  return requests;
}
