import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from '@temporalio/client';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openConnection } from '../../../src/temporal/connections.js';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import type { Stack } from '../../../tools/stack/stack.js';
import { createPayloadCodec } from '../../../src/temporal/encryption/codec.js';
import type { OrderResource } from '../../../src/schemas/order.js';
import { projectRoot, startProcess, waitUntil } from '../../support/processes.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { createCaller } from '../../support/api/callers.js';
import { startTraceCollector, type TraceCollector } from '../../support/network/trace-collector.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';
import { generateEncryptionKey, parseEncryptionKeys } from '../../support/temporal/encryption.js';
import { failuresIn, payloadsIn, fetchRawRuns, type RawRun } from '../../support/temporal/raw-runs.js';
import { runTemporalCli } from '../../support/temporal/temporal-cli.js';

/**
 * Runs the tour with unique values (canaries) on an encrypted shop. Then searches for the canaries in all data that is
 * readable without the key: histories, visibility, metrics, logs and traces.
 *
 * Only payloads in histories and memos are encrypted. Ids, search attributes, metrics, logs and spans are the same with
 * and without a key. If they contain no canary here, they contain no canary without encryption either.
 */
const runMark = randomUUID().slice(0, 8);
const CANARIES = {
  mail: `ada-${runMark}@canary.example`,
  address: `12 Canary Lane ${runMark}`,
  token: `tok_ok-canary-${runMark}`,
  declined: `tok_declined-canary-${runMark}`,
  unknown: `canary-${runMark}-unknown-card`,
  comment: `canary comment ${runMark}`,
  reason: `canary reason ${runMark}`,
  approvers: `@approvers-${runMark}.example`,
};
/** A script that sets the local storage of the Web UI to the codec endpoint, as the codec dialog of the Web UI does. */
const codecSettingsScript = (endpoint: string) =>
  Object.entries({ endpoint, includeCredentials: true, overrideRemoteCodecConfiguration: true })
    .map(([name, value]) => `localStorage.setItem('${name}', ${JSON.stringify(JSON.stringify(value))});`)
    .join('');

type Canary = keyof typeof CANARIES;

/** The texts in the files of the tour, and the canary that replaces each text. */
const REPLACEMENTS: [file: RegExp, said: string, canary: Canary][] = [
  [/^examples\/.*\.json$/, '"tok_ok"', 'token'],
  [/^examples\/.*\.json$/, '"tok_declined"', 'declined'],
  [/^tools\/tour\/approvals\.ts$/, "'enjoy'", 'comment'],
  [/^tools\/tour\/approvals\.ts$/, "'not this year'", 'comment'],
  [/^tools\/tour\/orders\.ts$/, "'changed my mind'", 'reason'],
  [/^tools\/tour\/approvals\.ts$/, '@example.com', 'approvers'],
];

const shiftLead = createCaller(['shopper', 'operator', 'approver'], 'shift-lead');
const inspector = createCaller(['inspector'], 'ida');
const key = generateEncryptionKey('today');
const stageDecidedBy = (id: string) => ({
  approvers: [{ id, email: `${id}${CANARIES.approvers}` }],
  timeoutSeconds: 86_400,
});

describeOnDevServer('a shop with payload encryption', () => {
  let stack: Stack;
  let collector: TraceCollector;
  let connection: Connection;
  let copy: string;
  let runs: RawRun[];

  beforeAll(async () => {
    [copy, collector] = await Promise.all([copyWithCanaries(), startTraceCollector()]);
    stack = await startTemporaryStack(
      {
        applicationEnv: {
          PAYLOAD_ENCRYPTION_KEYS: key,
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          API_KEYS: JSON.stringify([shiftLead.configEntry, inspector.configEntry]),
          ORDER_APPROVAL_STAGES: JSON.stringify([stageDecidedBy('shift-lead'), stageDecidedBy('manager')]),
        },
        logLevel: 'debug',
      },
      { webUi: true },
    );
    connection = await openConnection({ TEMPORAL_ADDRESS: stack.addresses.temporalAddress });
  });
  afterAll(async () => {
    await connection?.close();
    await stack?.stop();
    await collector?.close();
    if (copy) await rm(copy, { recursive: true, force: true });
  });

  const callApi = async <T>(method: string, path: string, body?: unknown) => {
    const response = await fetch(stack.addresses.apiUrl + path, {
      method,
      headers: { ...shiftLead.authHeader, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    expect(response.ok, `${method} ${path}: ${response.status}`).toBe(true);
    return (await response.json()) as T;
  };
  const waitUntilResponse = <T>(path: string, expected: (response: T) => boolean, what: string) =>
    waitUntil(
      async () => {
        const response = await callApi<T>('GET', path);
        return expected(response) ? response : undefined;
      },
      { description: what, timeoutMs: 30_000 },
    );
  const order = (orderId: string, token: string) =>
    callApi('POST', '/v1/orders', {
      orderId,
      customerId: 'ada',
      payment: { token },
      lines: [{ sku: 'MUG-ENAMEL', quantity: 1 }],
    });

  test('every scenario of the tour passes with payload encryption', async () => {
    const output: string[] = [];
    const tour = await startProcess({
      name: 'tour',
      command: process.execPath,
      args: ['--import', import.meta.resolve('tsx/esm'), join(copy, 'tools/tour/main.ts')],
      cwd: copy,
      env: { DATA_DIR: stack.dataDir, API_KEY: shiftLead.key },
      onLine: (line) => output.push(line),
    });
    const { code } = await tour.exited;

    expect(output[0]).toContain(`Using the stack at ${stack.addresses.apiUrl}`);
    expect(output.filter((line) => line.includes('UNEXPECTED'))).toEqual([]);
    expect(output.join('\n')).toMatch(/All 11 scenarios had the expected outcome\./);
    expect(code).toBe(0);
  }, 180_000);

  test('the API shows the reason of a failure that is encrypted in Temporal', async () => {
    const away = `away-${runMark}`;
    await order(away, `tok_gateway_down-${runMark}`);
    const { retrying } = await waitUntilResponse<OrderResource>(
      `/v1/orders/${away}`,
      ({ retrying }) => retrying !== undefined,
      'a charge that is retried',
    );
    expect(retrying).toMatchObject([
      { step: 'chargePayment', lastFailure: { message: 'PaymentGateway: answered 503' } },
    ]);
    await callApi('POST', `/v1/orders/${away}/cancel`);
    await waitUntilResponse<OrderResource>(
      `/v1/orders/${away}`,
      ({ status }) => status === 'cancelled',
      'the order cancelled',
    );

    // The error of the gateway contains the unknown card token.
    await order(`unknown-${runMark}`, CANARIES.unknown);
    const { reason } = await waitUntilResponse<OrderResource>(
      `/v1/orders/unknown-${runMark}`,
      ({ status }) => status !== 'processing',
      'the end of the order',
    );
    expect(reason).toEqual({ type: 'CardDeclined', message: 'the payment gateway does not know the card' });
  });

  test('an approval request with canaries is mailed and decided', async () => {
    const { providersUrl: fakesUrl } = connectToFakes(stack);
    const rejection = { to: CANARIES.mail, code: 451, times: 1 };
    await fetch(`${fakesUrl}/test/mails/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(rejection),
    });
    const approvalId = `canary-${runMark}`;
    await callApi('POST', '/v1/approvals', {
      approvalId,
      title: `Send it to ${CANARIES.address}?`,
      requestedBy: 'ada',
      description: CANARIES.address,
      stages: [{ approvers: [{ id: 'shift-lead', email: CANARIES.mail }], timeoutSeconds: 86_400 }],
    });
    await waitUntilResponse<{ notifications: { channel: string; status: string }[] }>(
      `/v1/approvals/${approvalId}`,
      ({ notifications }) => notifications.some(({ channel, status }) => channel === 'email' && status === 'sent'),
      'the mail',
    );
    const decision = { approver: 'shift-lead', decision: 'approve', comment: CANARIES.comment };
    await callApi('POST', `/v1/approvals/${approvalId}/decision`, decision);
  });

  test('the partners and the decrypted histories contain the canaries', async () => {
    runs = await fetchRawRuns(connection, stack.addresses.temporalNamespace);
    const codec = createPayloadCodec({ keys: parseEncryptionKeys(key), namespace: stack.addresses.temporalNamespace });
    const payloads = runs.flatMap(({ events }) => payloadsIn(events).map(({ value }) => value));
    const decrypted = Buffer.concat((await codec.decode(payloads)).map(({ data }) => Buffer.from(data ?? [])));
    const { ledger, mails } = await connectToFakes(stack).seen();

    expect(runs.length).toBeGreaterThan(15);
    expect(canariesIn(decrypted)).toEqual(Object.keys(CANARIES));
    expect(canariesIn(ledger)).toEqual(['token', 'declined']);
    expect(canariesIn(mails)).toEqual(['mail', 'address', 'approvers']);
  });

  test('encrypted histories contain no canary', () => {
    for (const { workflowId, history } of runs) expect(canariesIn(history), workflowId).toEqual([]);
  });

  test('every payload of the application and the message of every failure is encrypted', () => {
    const all = runs.flatMap(({ events }) => payloadsIn(events));
    const payloads = all.filter(({ path, value }) => !isReadByServer(path) && decodeText(value.data) !== SERVER_TEXT);
    const open = payloads.filter(({ value }) => decodeText(value.metadata?.encoding) !== 'binary/encrypted');
    expect(payloads.length).toBeGreaterThan(200);
    expect(open.map(({ path, value }) => [path, decodeText(value.data), JSON.stringify(value.metadata)])).toEqual([]);

    const failures = runs
      .flatMap(({ events }) => failuresIn(events))
      .filter(({ value }) => value.source === 'TypeScriptSDK');
    expect(failures.length).toBeGreaterThan(5);
    for (const { value, path } of failures)
      expect([path, value.message, value.stackTrace]).toEqual([path, 'Encoded failure', '']);
  });

  test('ids, search attributes, memos and summaries contain no canary', () => {
    for (const { workflowId, visibility } of runs) expect(canariesIn(visibility), workflowId).toEqual([]);
  });

  describe('the Temporal CLI with encryption', () => {
    const command = (...args: string[]) =>
      runTemporalCli(
        { address: stack.addresses.temporalAddress, namespace: stack.addresses.temporalNamespace },
        ...args,
      );
    const withCodec = (...args: string[]) =>
      command(...args, '--codec-endpoint', stack.addresses.codecUrl!, '--codec-auth', `Bearer ${inspector.key}`);
    const asked = `approval:canary-${runMark}`;
    const show = ['workflow', 'show', '--workflow-id', asked, '--output', 'json'];

    test('the Temporal CLI shows a workflow in plain text only with the codec endpoint', async () => {
      const { addresses } = stack;
      const [shown, hidden, byHeader] = await Promise.all([
        withCodec(...show),
        command(...show),
        command(...show, '--codec-endpoint', addresses.codecUrl!, '--codec-header', `X-API-Key=${inspector.key}`),
      ]);
      for (const { stdout } of [shown, byHeader]) expect(canariesIn(stdout)).toEqual(['mail', 'address', 'comment']);
      expect(canariesIn(hidden.stdout)).toEqual([]);
      expect(hidden.stdout).toContain(Buffer.from('binary/encrypted').toString('base64'));
    });

    test('the Temporal CLI encrypts inputs of starts and signals with the codec endpoint', async () => {
      const cart = `cart:cli-${runMark}`;
      const id = ['--workflow-id', cart];
      const input = ['--input', JSON.stringify({ cartId: `cli-${runMark}` })];
      const item = ['--input', JSON.stringify({ sku: 'MUG-ENAMEL', quantity: 2 })];
      const started = await withCodec('workflow', 'start', '--type', 'cart', '--task-queue', 'carts', ...id, ...input);
      expect(started).toMatchObject({ code: 0 });
      expect(await withCodec('workflow', 'signal', '--name', 'addItem', ...id, ...item)).toMatchObject({ code: 0 });
      const view = await waitUntil(
        async () => {
          const { stdout } = await withCodec('workflow', 'query', '--type', 'cart', ...id);
          return stdout.includes('MUG-ENAMEL') ? stdout : undefined;
        },
        { description: 'the cart with its line', timeoutMs: 20_000 },
      );
      expect(view).toContain('"quantity":2');
      const run = (await fetchRawRuns(connection, stack.addresses.temporalNamespace, `WorkflowId = '${cart}'`))[0];
      expect(run?.events.length).toBeGreaterThan(3);
      expect(run?.history.includes('MUG-ENAMEL')).toBe(false);
      await command('workflow', 'terminate', ...id);
    });
  });

  describeInBrowser('in the Web UI', () => {
    const browser = useBrowser();

    test('the Web UI decrypts payloads only after an inspector has signed in', async () => {
      const { webUiUrl, temporalNamespace, codecUrl } = stack.addresses;
      const url = `${webUiUrl}/namespaces/${temporalNamespace}/workflows/approval:canary-${runMark}`;
      const page = await browser.newPage({ viewport: { width: 1_400, height: 1_100 } });

      const hidden = await readPageText(page, url, 'encryption-key-id');
      await page.goto(`${codecUrl}/session`);
      await page.getByLabel('API key or token').fill(inspector.key);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('Signed in as ida').waitFor();
      const cookie = (await page.context().cookies()).find(({ name }) => name === 'session');
      await page.addInitScript(codecSettingsScript(codecUrl!));
      const shown = await readPageText(page, url, CANARIES.address);

      expect(canariesIn(hidden)).toEqual([]);
      expect(hidden).toContain('Codec Server could not connect');
      expect(shown).toContain(CANARIES.mail);
      expect(cookie).toMatchObject({ path: '/', httpOnly: true, sameSite: 'Lax' });
    });
  });

  test('metrics contain no canary', async () => {
    const pages = await Promise.all(stack.addresses.metricsUrls.map(async (url) => await (await fetch(url)).text()));
    expect(pages.length).toBeGreaterThanOrEqual(3);
    for (const [index, page] of pages.entries()) {
      expect(page, stack.addresses.metricsUrls[index]).toContain('# TYPE');
      expect(canariesIn(page), stack.addresses.metricsUrls[index]).toEqual([]);
    }
    expect(pages.join()).toContain('order');
  });

  test('logs of the API, the worker and the setup contain no canary', async () => {
    // The fake partners are external systems and may log the data that they receive.
    const files = (await readdir(stack.logsDir)).filter((file) => !file.startsWith('fakes'));
    const logs = await Promise.all(files.map((file) => readFile(join(stack.logsDir, file))));
    expect(files).toEqual(expect.arrayContaining(['api.log', 'worker.log', 'setup.log']));
    for (const [index, log] of logs.entries()) expect(linesWithCanaries(log), files[index]).toEqual([]);
  });

  test('traces contain no canary', async () => {
    for (const [name, part] of stack.processes) if (/^(api|worker)/.test(name)) await part.stop(30_000);
    const names = new Set(collector.spans.map(({ name }) => name));
    for (const type of ['order', 'cart', 'approval', 'batch']) expect(names).toContain(`RunWorkflow:${type}`);
    for (const name of ['POST /v1/orders', 'RunActivity:chargePayment', 'RunActivity:mailApprover'])
      expect(names).toContain(name);
    for (const body of collector.bodies) expect(canariesIn(body)).toEqual([]);
  });
});

/** Opens a page of the Web UI, waits for the expected text, and returns the whole text of the page. */
async function readPageText(page: Page, url: string, expected: string | RegExp): Promise<string> {
  await page.goto(url);
  await page.getByText(expected).first().waitFor({ timeout: 30_000 });
  return await page.locator('body').innerText();
}

const decodeText = (bytes?: Uint8Array | null) => Buffer.from(bytes ?? []).toString();

/**
 * Returns whether a payload stays unencrypted: search attributes, headers, and the names of local activities and
 * patches in markers.
 */
const isReadByServer = (path: string) => /\/searchAttributes\/|\/details\/(data|patch-data)\/|\/header\//.test(path);

/** The server writes this payload for an activity that was cancelled before its start. */
const SERVER_TEXT = '"ACTIVITY_ID_NOT_STARTED"';

/** Returns the names of the canaries that the bytes contain as plain text, in base64 (any alignment) or URL-encoded. */
function canariesIn(bytes: Buffer | string): string[] {
  const where = Buffer.from(bytes);
  return Object.entries(CANARIES).flatMap(([name, canary]) =>
    encodingsOf(canary).some((spelling) => where.includes(spelling)) ? [name] : [],
  );
}

function encodingsOf(canary: string): string[] {
  const encoded = ['', ' ', '  '].map((before) =>
    Buffer.from(before + canary)
      .toString('base64')
      .slice(4, -4),
  );
  return [canary, ...encoded, encodeURIComponent(canary)];
}

const linesWithCanaries = (log: Buffer) =>
  log
    .toString()
    .split('\n')
    .filter((line) => canariesIn(line).length > 0)
    .map((line) => line.slice(0, 600));

function connectToFakes({ addresses: { mailboxUrl = '' }, dataDir }: Stack) {
  const fakesUrl = new URL(mailboxUrl).origin;
  return {
    providersUrl: fakesUrl,
    seen: async () => ({
      ledger: await readFile(join(dataDir, 'fakes', 'ledger.jsonl'), 'utf8'),
      mails: await (await fetch(`${fakesUrl}/test/mails`)).text(),
    }),
  };
}

/** Copies the files of the tour and replaces texts with canaries. @returns the path of the copy. */
async function copyWithCanaries(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'tour-'));
  for (const part of ['tools', 'examples', 'src', 'package.json', 'tsconfig.json'])
    await cp(join(projectRoot, part), join(copy, part), { recursive: true });
  const files = await readdir(copy, { recursive: true });
  await symlink(join(projectRoot, 'node_modules'), join(copy, 'node_modules'));
  for (const [which, said, canary] of REPLACEMENTS) {
    let times = 0;
    for (const file of files.filter((file) => which.test(file))) {
      const before = await readFile(join(copy, file), 'utf8');
      const quote = /^["']/.exec(said)?.[0] ?? '';
      const after = before.replaceAll(said, quote + CANARIES[canary] + quote);
      if (after === before) continue;
      times += 1;
      await writeFile(join(copy, file), after);
    }
    if (times === 0) throw new Error(`no file of the tour contains ${said}`);
  }
  return copy;
}
