import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEVICES, expectGoodPage } from '../../support/api/console-pages.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { startNpmStart } from '../../support/npm-start.js';
import { waitUntil } from '../../support/processes.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const READY_TIMEOUT_MS = 180_000;
const SCENE_TIMEOUT_MS = 180_000;

describeOnDevServer('the page that breaks the stack of npm start', () => {
  let stack: Awaited<ReturnType<typeof startNpmStart>>;
  let dataDir: string;
  let fakesUrl: string;
  let pageUrl: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'break-it-'));
    // When this process is root, PostgreSQL runs as another user, who must be able to enter this folder.
    await chmod(dataDir, 0o711);
    stack = await startNpmStart({ DATA_DIR: dataDir, FAKE_CARRIER_DELIVERY_SECONDS: '4' });
    fakesUrl = `http://127.0.0.1:${stack.ports.FAKES_PORT}`;
    pageUrl = `${fakesUrl}/break-it`;
    const isReady = () => stack.lines.some((line) => line.includes('Ready: the API accepts orders.')) || undefined;
    await waitUntil(isReady, { description: stack.lines.join('\n'), timeoutMs: READY_TIMEOUT_MS });
  }, READY_TIMEOUT_MS);
  afterAll(async () => {
    await stack?.process.stop(60_000);
    await rm(dataDir, { recursive: true, force: true });
  });

  const readPage = async () => (await fetch(pageUrl)).text();
  const submit = (path: string, form: Record<string, string> = {}, headers: Record<string, string> = {}) =>
    fetch(`${pageUrl}/${path}`, {
      method: 'POST',
      body: new URLSearchParams(form),
      headers: { origin: fakesUrl, ...headers },
      redirect: 'manual',
    });

  /** Returns the part of the page about the scene, when the scene has reached one of the phases. */
  async function waitForScene(...phases: string[]): Promise<string> {
    const poll = async () => {
      const [scene, phase] = /<section[^>]* data-phase="(\w+)".*?<\/section>/s.exec(await readPage()) ?? [];
      return phase !== undefined && phases.includes(phase) ? scene : undefined;
    };
    return await waitUntil(poll, { description: `the scene: ${phases.join(' or ')}`, timeoutMs: SCENE_TIMEOUT_MS });
  }

  const textOf = (content: string) => content.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
  const orderIdsOf = async () => {
    const { charges } = (await (await fetch(`${fakesUrl}/test/ledger`)).json()) as { charges: { orderId: string }[] };
    return charges.map(({ orderId }) => orderId).filter((orderId) => orderId.startsWith('scene-'));
  };
  const countBadges = (scene: string, text: string) => scene.split(`>${text}</span>`).length - 1;

  test(
    'places orders, kills the worker, and shows that money, stock and parcels are as expected',
    async () => {
      expect((await submit('scene', { orders: '5', kill: 'worker' })).status).toBe(303);
      expect((await submit('scene', { orders: '5', kill: 'worker' })).status).toBe(409);
      const scene = await waitForScene('done', 'failed');
      expect(textOf(scene)).toContain('Nothing was lost or doubled. Money, stock and parcels match 5 orders.');
      expect(textOf(scene)).toContain('5 of 5 orders placed, 5 final');
      expect(countBadges(scene, 'equal')).toBe(4);
      expect(textOf(await readPage())).toMatch(/Killed the worker \(process \d+\) after \d of 5 orders were accepted/);
      expect(stack.lines.join('\n')).toMatch(/worker ended .*SIGKILL.*; starting it again/);
    },
    SCENE_TIMEOUT_MS,
  );

  test(
    'shows a charge that was doubled in the ledger as a difference, with the id of the order',
    async () => {
      const before = new Set(await orderIdsOf());
      await submit('scene', { orders: '5', kill: 'api' });
      const findCharged = async () => (await orderIdsOf()).find((orderId) => !before.has(orderId));
      const orderId = await waitUntil(findCharged, { description: 'a charged order', timeoutMs: SCENE_TIMEOUT_MS });
      const doubled = await fetch(`${fakesUrl}/payments/charges`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'a second charge' },
        body: JSON.stringify({ orderId, amount: { value: 1_000, currency: 'EUR' }, token: 'tok_ok' }),
      });
      expect(doubled.status).toBe(201);

      const scene = await waitForScene('done', 'failed');
      expect(textOf(scene)).not.toContain('Nothing was lost');
      expect(textOf(scene)).toContain(`${orderId}: 2 charges for one order`);
      expect(countBadges(scene, 'differs')).toBe(1);
      expect(countBadges(scene, 'equal')).toBe(3);
    },
    SCENE_TIMEOUT_MS,
  );

  test('turns the faults of the partners on and back to normal', async () => {
    const names = [...(await readPage()).matchAll(/switches\/([\w-]+)\/on/g)].map(([, name]) => name!);
    expect(names).toEqual(['gateway-forgets-keys', 'carrier-is-silent', 'carrier-reports-late']);
    for (const name of names) {
      expect((await submit(`switches/${name}/on`)).status).toBe(303);
      expect(await readPage()).toContain(`switches/${name}/off`);
    }
    const choices = [...(await readPage()).matchAll(/name="answers" value="([\w-]+)"/g)].map(([, name]) => name!);
    expect(choices).toEqual(['normal', 'gateway-loses-answers', 'gateway-is-slow', 'gateway-answers-500']);
    const readChosen = async () =>
      [...(await readPage()).matchAll(/name="answers" value="([\w-]+)"\s+checked/g)].map(([, name]) => name!);
    expect(await readChosen()).toEqual(['normal']);
    for (const answers of choices) {
      expect((await submit('gateway-answers', { answers })).status).toBe(303);
      expect(await readChosen()).toEqual([answers]);
    }
    const charge = () =>
      fetch(`${fakesUrl}/payments/charges`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'probe' },
        body: JSON.stringify({ orderId: 'probe', amount: { value: 1, currency: 'EUR' }, token: 'tok_ok' }),
      });
    expect((await charge()).status).toBe(500);
    for (const name of names) await submit(`switches/${name}/off`);
    await submit('gateway-answers', { answers: 'normal' });
    expect(await readChosen()).toEqual(['normal']);
    expect(await readPage()).not.toContain('Back to normal');
    expect((await charge()).status).toBe(201);
  });

  test('a killed worker is starting until it polls its task queues', async () => {
    const seen: (string | undefined)[] = [];
    const readState = async () => {
      const state = /<h3>Worker<\/h3>\s*<p>\s*<span[^>]*>([a-z ]+)<\/span>/.exec(await readPage())?.[1];
      if (seen.at(-1) !== state) seen.push(state);
      return state;
    };
    expect(await readState()).toBe('running');
    expect((await submit('kill/worker')).status).toBe(303);
    const isRestarted = async () => ((await readState()) === 'running' && seen.length > 1 ? true : undefined);
    await waitUntil(isRestarted, { description: 'the restart of the worker', timeoutMs: 60_000, intervalMs: 100 });
    expect(seen.slice(-2)).toEqual(['starting', 'running']);
  });

  test('reports about another parcel, which changes no order', async () => {
    expect((await submit('foreign-report')).status).toBe(303);
    expect(textOf(await readPage())).toMatch(/reported to order scene-\S+ that parcel .* the API answered 2\d\d/);
  });

  test('rejects forms of other pages, other host names and unknown processes', async () => {
    const readState = async () => {
      const page = await readPage();
      const workerPid = /<h3>Worker<\/h3>.*?process (\d+)/s.exec(page)?.[1];
      return { workerPid, log: textOf(page.slice(page.indexOf('<h2>What happened</h2>'))) };
    };
    const before = await readState();
    expect(before).toEqual({ workerPid: expect.any(String), log: expect.stringContaining('reported to order') });
    expect((await submit('kill/worker', {}, { origin: 'http://evil.example' })).status).toBe(403);
    expect((await submit('kill/worker', {}, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await submit('kill/fakes')).status).toBe(400);
    expect((await submit('scene', { orders: '1000', kill: 'worker' })).status).toBe(400);
    expect(await readState()).toEqual(before);

    const statusForHost = (host: string) =>
      new Promise((resolve) => {
        request(pageUrl, { headers: { host } }, (response) => resolve(response.resume().statusCode)).end();
      });
    expect(await statusForHost('evil.example')).toBe(403);
    expect(await statusForHost('localhost')).toBe(200);
  });

  describeInBrowser('in a browser', () => {
    const browser = useBrowser();

    test.each(DEVICES)('is accessible and fits the screen on $device', async ({ options }) => {
      await expectGoodPage(await browser.open(pageUrl, options));
    });

    test('kills a process with a button, without JavaScript, and the stack restarts it', async () => {
      const { page } = await browser.open(pageUrl, { javaScriptEnabled: false });
      const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'PostgreSQL' }) });
      const processIn = async () => /process (\d+)/.exec(await card.innerText())?.[1];
      const killed = await processIn();
      await page.getByRole('button', { name: 'Kill PostgreSQL' }).click();
      await page.getByText(`Killed PostgreSQL (process ${killed})`).waitFor();
      const isRestarted = async () => {
        await page.reload();
        const pid = await processIn();
        return pid !== undefined && pid !== killed ? true : undefined;
      };
      await waitUntil(isRestarted, { description: 'the restart of PostgreSQL', timeoutMs: 30_000, intervalMs: 500 });
    });

    test('is linked from the console', async () => {
      const { page } = await browser.open(`http://127.0.0.1:${stack.ports.PORT}/console`);
      await page.getByRole('link', { name: 'Break it' }).click();
      expect(page.url()).toBe(pageUrl);
      expect(await page.getByRole('heading', { level: 1, name: 'Break it' }).isVisible()).toBe(true);
    });
  });
});
