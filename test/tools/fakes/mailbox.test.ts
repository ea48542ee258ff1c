import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { buildFakes, type FakesOptions } from '../../../tools/fakes/app.js';
import type { Fakes } from '../../../tools/fakes/fakes.js';
import { MailStore } from '../../../tools/fakes/mailbox/mail-store.js';
import { waitUntil } from '../../support/processes.js';

const sender = { from: 'The shop <shop@example.com>' };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function makeMailFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mails-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface OutgoingMail {
  to: string | string[];
  subject?: string;
  text?: string;
  html?: string;
  headers?: Record<string, string>;
  raw?: string;
}

interface MailServer extends Fakes {
  baseUrl: string;
  smtpPort: number;
  send: (mail: OutgoingMail) => Promise<{ messageId: string; rejected: unknown[] }>;
  get: (path: string) => Promise<{ status: number; headers: Headers; body: string }>;
  callTestInterface: (method: string, path: string, body?: unknown) => Promise<{ status: number; body: unknown }>;
}

async function startMailServer(options: FakesOptions = {}): Promise<MailServer> {
  const fakes = buildFakes(options);
  cleanups.push(fakes.close);
  const base = await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  const smtpUrl = await fakes.listenSmtp({ port: 0, host: '127.0.0.1' });
  const transport = createTransport(smtpUrl);
  cleanups.push(() => transport.close());
  return {
    ...fakes,
    baseUrl: base,
    smtpPort: Number(new URL(smtpUrl).port),
    send: ({ to, ...mail }) =>
      transport.sendMail({ ...sender, envelope: { ...sender, to }, to, text: 'Hello', ...mail }),
    get: async (path) => {
      const response = await fetch(base + path);
      return { status: response.status, headers: response.headers, body: await response.text() };
    },
    callTestInterface: async (method, path, body) => {
      const headers = { 'content-type': 'application/json' };
      const sent = body === undefined ? {} : { headers, body: JSON.stringify(body) };
      const response = await fetch(`${base}/test/${path}`, { method, ...sent });
      const text = await response.text();
      return { status: response.status, body: text && JSON.parse(text) };
    },
  };
}

describe('the fake mail server', () => {
  test('delivers an e-mail unchanged to each recipient', async () => {
    const world = await startMailServer();

    const { messageId } = await world.send({
      to: ['Ada <ada@example.com>', 'bob@example.com'],
      subject: 'Grüße',
      text: 'Shall we?\n.\nYours',
      html: '<p>Shall we?</p>',
      headers: { 'X-Envelope': '{"from":"","to":["eve@example.com"],"receivedAt":"2000-01-01T00:00:00Z"}' },
    });

    const mails = await world.mailbox.mailsTo('ADA@example.com');
    expect(mails).toEqual([
      {
        id: 1,
        from: 'The shop <shop@example.com>',
        to: ['ada@example.com', 'bob@example.com'],
        subject: 'Grüße',
        text: 'Shall we?\n.\nYours\n',
        html: expect.stringContaining('<p>Shall we?</p>'),
        messageId,
        receivedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        headers: expect.objectContaining({
          'message-id': messageId,
          'x-envelope': expect.stringContaining('bob@example.com'),
        }),
      },
    ]);
    expect(await world.mailbox.mailsTo('bob@example.com')).toEqual(mails);
    expect(await world.mailbox.mailsTo('eve@example.com')).toEqual([]);
    expect(await world.callTestInterface('GET', 'mails?to=bob@example.com')).toEqual({ status: 200, body: { mails } });
  });

  test('stores an e-mail in the folder before it responds', async () => {
    const mailFolder = makeMailFolder();
    const world = await startMailServer({ mailFolder });

    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        await world.send({ to: `somebody-${index}@example.com`, subject: `Number ${index}` });
        const files = readdirSync(mailFolder).filter((name) => name.endsWith('.eml'));
        const contents = files.map((name) => readFileSync(join(mailFolder, name), 'utf8'));
        expect(contents.some((content) => content.includes(`Subject: Number ${index}\r\n`))).toBe(true);
      }),
    );
  });

  test('keeps its e-mails and their numbers after a restart, even after a torn write', async () => {
    const mailFolder = makeMailFolder();
    const first = await startMailServer({ mailFolder });
    await first.send({ to: 'ada@example.com', subject: 'One' });
    await first.send({ to: 'ada@example.com', subject: 'Two', headers: { 'X-Envelope': '{}' } });
    const before = await first.mailbox.mailsTo('ada@example.com');
    await first.close();
    writeFileSync(join(mailFolder, '7.part'), 'X-Envelope: {"fr');
    writeFileSync(join(mailFolder, '8.eml'), 'Subject: of somebody else\r\n\r\nHello');

    const second = await startMailServer({ mailFolder });
    expect(before.map(({ subject }) => subject)).toEqual(['One', 'Two']);
    expect(await second.mailbox.mails()).toEqual(before);
    await second.send({ to: 'ada@example.com' });
    expect((await second.mailbox.mails()).map(({ id }) => id)).toEqual([1, 2, 9]);
    expect(readdirSync(mailFolder).sort()).toEqual(['1.eml', '2.eml', '8.eml', '9.eml']);
  });

  test('deletes the oldest e-mails above its limit, in memory and in the folder', async () => {
    const folder = makeMailFolder();
    const envelope = { from: 'a@example.com', to: ['b@example.com'], receivedAt: new Date().toISOString() };
    const store = new MailStore(folder, 2);

    for (let count = 1; count <= 4; count++) await store.add(envelope, Buffer.from('Subject: x\r\n\r\n'));

    expect(store.list().map(({ id }) => id)).toEqual([3, 4]);
    expect(readdirSync(folder).sort()).toEqual(['3.eml', '4.eml']);
  });

  test('responds with a temporary error when the folder does not exist any more', async () => {
    const mailFolder = makeMailFolder();
    const world = await startMailServer({ mailFolder });
    rmSync(mailFolder, { recursive: true });

    await expect(world.send({ to: 'ada@example.com' })).rejects.toMatchObject({ responseCode: 452 });
    expect(await world.mailbox.mails()).toEqual([]);
  });

  test('rejects an e-mail that is too large, and does not store it', async () => {
    const world = await startMailServer();

    const sent = world.send({ to: 'ada@example.com', text: 'x'.repeat(10_000_001) });

    await expect(sent).rejects.toMatchObject({ responseCode: 552 });
    expect(await world.mailbox.mails()).toEqual([]);
  });

  test('rejects an unreadable e-mail permanently, and does not store it', async () => {
    const world = await startMailServer();

    const sent = world.send({ to: 'ada@example.com', raw: `X-Long: ${'x'.repeat(3_000_000)}\r\n\r\nHello` });

    await expect(sent).rejects.toMatchObject({ responseCode: 554 });
    expect(await world.mailbox.mails()).toEqual([]);
  });

  test('stores nothing of an e-mail whose connection breaks', async () => {
    const world = await startMailServer();
    const client = createConnection(world.smtpPort, '127.0.0.1').setEncoding('utf8');
    for (const line of ['EHLO me', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA']) {
      await once(client, 'data');
      client.write(`${line}\r\n`);
    }
    await once(client, 'data');
    client.write('Subject: half\r\n\r\nHel');
    client.destroy();

    await world.send({ to: 'b@example.com', subject: 'whole' });
    await world.close();
    expect((await world.mailbox.mails()).map(({ subject }) => subject)).toEqual(['whole']);
  });

  test('closes without waiting for idle clients', async () => {
    const world = await startMailServer();
    const client = createConnection(world.smtpPort, '127.0.0.1');
    await once(client, 'data');
    const ended = once(client.resume(), 'close');

    await world.close();

    await ended;
  });

  test('fails to listen on a port in use', async () => {
    const { smtpPort } = await startMailServer();
    const other = buildFakes();
    cleanups.push(other.close);

    await expect(other.listenSmtp({ host: '127.0.0.1', port: smtpPort })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('rejected recipients of the fake mail server', () => {
  test.each([451, 550])(
    'rejects a recipient with %i as often as configured, and rejects no other recipient',
    async (code) => {
      const world = await startMailServer();
      world.mailbox.addFault('Ada@example.com', { code, times: 2 });

      for (const _time of [1, 2])
        await expect(world.send({ to: 'ada@example.com' })).rejects.toMatchObject({ responseCode: code });
      await world.send({ to: 'bob@example.com' });
      await world.send({ to: 'ada@example.com' });

      expect(await world.mailbox.mailsTo('ada@example.com')).toHaveLength(1);
      expect(await world.mailbox.mailsTo('bob@example.com')).toHaveLength(1);
    },
  );

  test('delivers an e-mail to one recipient when it rejects the other recipient', async () => {
    const world = await startMailServer();
    world.mailbox.addFault('ada@example.com', { code: 550 });

    const { rejected } = await world.send({ to: ['ada@example.com', 'bob@example.com'] });

    expect(rejected).toEqual(['ada@example.com']);
    expect((await world.mailbox.mails()).map(({ to }) => to)).toEqual([['bob@example.com']]);
  });

  test('stores a rejected e-mail if configured', async () => {
    const world = await startMailServer();
    world.mailbox.addFault('ada@example.com', { stored: true });

    await expect(world.send({ to: 'ada@example.com' })).rejects.toMatchObject({ responseCode: 451 });

    expect(await world.mailbox.mailsTo('ada@example.com')).toHaveLength(1);
  });

  test('the server closes while a response is delayed', async () => {
    const world = await startMailServer();
    world.mailbox.addFault('ada@example.com', { stored: true, delayMs: 600_000 });

    const broken = expect(world.send({ to: 'ada@example.com' })).rejects.toThrow();
    await waitUntil(async () => (await world.mailbox.mails())[0], { description: 'the mail', timeoutMs: 10_000 });
    await world.close();

    await broken;
  });

  test('recipient faults can be added and deleted over HTTP', async () => {
    const world = await startMailServer();
    const rejection = { to: 'ada@example.com', code: 550, times: -1 };

    expect(await world.callTestInterface('POST', 'mails/faults', rejection)).toMatchObject({
      status: 201,
      body: rejection,
    });
    for (const _time of [1, 2]) await expect(world.send({ to: 'ada@example.com' })).rejects.toThrow('550');
    expect(await world.callTestInterface('DELETE', 'mails/faults')).toMatchObject({ status: 204 });
    await world.send({ to: 'ada@example.com' });

    expect(await world.mailbox.mailsTo('ada@example.com')).toHaveLength(1);
    expect(await world.callTestInterface('POST', 'mails/faults', { ...rejection, code: 250 })).toMatchObject({
      status: 400,
    });
  });
});

describe('pages of the fake mail server', () => {
  test('the mailbox page lists e-mails with links, newest first', async () => {
    const world = await startMailServer();
    expect((await world.get('/mails')).body).toContain('No mails yet');
    await world.send({ to: 'ada@example.com', subject: 'Older' });
    await world.send({ to: ['ada@example.com', 'bob@example.com'], subject: 'Newer' });

    const { status, headers, body } = await world.get('/mails');

    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect([...body.matchAll(/href="([^"]*)">([^<]*)</g)].map(([, href, text]) => [href, text])).toEqual([
      ['/mails/2', 'Newer'],
      ['/mails/1', 'Older'],
    ]);
    expect(body).toContain('<td>ada@example.com, bob@example.com</td>');
  });

  test('the mailbox pages escape the markup of a hostile e-mail', async () => {
    const warn = vi.spyOn(console, 'warn');
    const world = await startMailServer();
    const attack = `"'></pre></iframe><script>alert(1)</script>`;
    await world.send({ to: 'ada@example.com', subject: attack, text: `Hello ${attack}`, html: `<b>${attack}</b>` });

    for (const path of ['/mails', '/mails/1']) {
      const { headers, body } = await world.get(path);
      expect(body).not.toContain('<script');
      expect(body).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'unsafe-inline'(;|$)/);
    }
    const frames = [...(await world.get('/mails/1')).body.matchAll(/<iframe\s([^>]*)>/g)].map(([, inside]) => inside);
    expect(frames).toEqual([
      expect.stringMatching(/sandbox="allow-popups allow-popups-to-escape-sandbox"\s+srcdoc="[^"]*&lt;script/),
    ]);
    expect(warn).not.toHaveBeenCalled();
  });

  test('the page of an e-mail links only http and https URLs', async () => {
    const world = await startMailServer();
    const text =
      'See https://example.com/a?b=1&c="2. Or (http://example.com/x). Not javascript:alert(1) or data:text/html,x';
    await world.send({ to: 'ada@example.com', text });

    const { body } = await world.get('/mails/1');

    const hrefs = [...body.matchAll(/<a href="([^"]*)"/g)].map(([, href]) => href);
    expect(hrefs).toEqual(['/mails', '/mails/1.eml', 'https://example.com/a?b=1&amp;c=', 'http://example.com/x']);
    expect(body).toContain('javascript:alert(1)');
  });

  test('the source of an e-mail can be downloaded', async () => {
    const world = await startMailServer();
    await world.send({ to: 'ada@example.com', subject: 'Source', text: '<script>' });

    const { status, headers, body } = await world.get('/mails/1.eml');

    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('message/rfc822');
    expect(headers.get('content-disposition')).toBe('attachment; filename="1.eml"');
    expect(body).toMatch(/^X-Envelope: {"from":"shop@example.com","to":\["ada@example.com"\],.*}\r\n/);
    expect(body).toContain('\r\nSubject: Source\r\n');
  });

  test.each(['/mails/1', '/mails/1.eml', '/mails/0', '/mails/x', '/mails/..%2f1.eml'])(
    'the fake mail server returns 404 for %s',
    async (path) => {
      const world = await startMailServer();

      expect(await world.get(path)).toMatchObject({ status: 404 });
    },
  );
});
