import { getEventListeners, once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { CancelledFailure } from '@temporalio/common';
import PostalMime from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createMailer, type MailMessage } from '../../../src/activities/external/mail.js';
import { freePort } from '../../support/processes.js';
import { createActivityEnvironment, runActivity } from '../../support/workers/activity-environment.js';

const PASSWORD = 'p@ss w0rd';

afterEach(() => void vi.restoreAllMocks());

interface ReceivedMail {
  from: string;
  to: string[];
  raw: Buffer;
}

/** Starts a mail server on loopback that keeps the received mails. */
async function startMailServer(options: SMTPServerOptions = {}) {
  const received: ReceivedMail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, { envelope }, done) {
      void buffer(stream).then((raw) => {
        const { mailFrom, rcptTo } = envelope;
        received.push({ from: mailFrom ? mailFrom.address : '', to: rcptTo.map(({ address }) => address), raw });
        done();
      }, done);
    },
    ...options,
  });
  server.on('error', () => undefined);
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return { received, connections: server.connections, url: urlOf((listening.address() as AddressInfo).port) };
}

const urlOf = (port: number) => `smtp://127.0.0.1:${port}`;
const withLogin = (url: string) => url.replace('//', `//shop:${encodeURIComponent(PASSWORD)}@`);

function sendMail(
  smtpUrl: string,
  message: Partial<MailMessage> = {},
  env = createActivityEnvironment(),
): Promise<void> {
  const { send } = createMailer({ smtpUrl, from: 'The Shop <shop@example.com>' });
  const mail = { to: 'ada@example.org', subject: 'Please decide', text: 'Yes?', html: '<p>Yes?</p>', id: 'k1' };
  return runActivity(send, { ...mail, ...message }, env);
}

async function catchFailure(sent: Promise<void>): Promise<unknown> {
  return await sent.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Creates an error that makes a hook of the mail server respond with this SMTP status. */
function smtpError(responseCode: number, words: string): Error {
  return Object.assign(new Error(words), { responseCode });
}

async function parseMail({ raw }: ReceivedMail = {} as ReceivedMail) {
  const mail = await PostalMime.parse(raw);
  return {
    ...mail,
    header: (name: string) => mail.headers.filter(({ key }) => key === name).map(({ value }) => value),
  };
}

describe('sending a mail', () => {
  test('sends a text and an HTML body and marks the mail as auto-generated', async () => {
    const { url, received } = await startMailServer();
    await sendMail(url, { subject: 'Grüße', text: 'Ja? Ö', html: '<p>Ja? Ö</p>' });

    expect(received).toMatchObject([{ from: 'shop@example.com', to: ['ada@example.org'] }]);
    const mail = await parseMail(received[0]);
    expect(mail).toMatchObject({
      from: { name: 'The Shop', address: 'shop@example.com' },
      to: [{ address: 'ada@example.org' }],
      subject: 'Grüße',
      text: 'Ja? Ö\n',
      html: '<p>Ja? Ö</p>\n',
    });
    expect(mail.header('auto-submitted')).toEqual(['auto-generated']);
  });

  test('sends an internationalised domain as A-labels in the envelope and in the headers', async () => {
    const { url, received } = await startMailServer({ hideSMTPUTF8: true });
    const { send } = createMailer({ smtpUrl: url, from: 'The Shop <shop@läden.example>' });
    await runActivity(send, { to: 'grace@Bücher.example', subject: 's', text: 't', html: 'h', id: 'k1' });

    // The test server decodes the envelope. The raw headers show what was sent.
    expect(received).toMatchObject([{ from: 'shop@läden.example', to: ['grace@bücher.example'] }]);
    const raw = received[0]!.raw.toString('latin1');
    expect(raw).toContain('\r\nTo: grace@xn--bcher-kva.example\r\n');
    expect(raw).toContain('@xn--lden-loa.example>');
    expect(received[0]!.raw.every((byte) => byte < 128)).toBe(true);
  });

  test('logs in to the mail server with the credentials of SMTP_URL', async () => {
    const logins: unknown[] = [];
    const { url, received } = await startMailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth({ username, password }, _session, done) {
        logins.push([username, password]);
        done(null, { user: username });
      },
    });
    await sendMail(withLogin(url));

    expect(logins).toEqual([['shop', PASSWORD]]);
    expect(received).toHaveLength(1);
  });

  test('sends the same Message-ID on a retry, and another Message-ID for another mail id', async () => {
    const { url, received } = await startMailServer();
    await sendMail(url);
    await sendMail(url);
    await sendMail(url, { id: 'k2' });

    const [first, second, other] = await Promise.all(received.map(async (mail) => (await parseMail(mail)).messageId));
    expect(first).toMatch(/^<[0-9a-f]{64}@example\.com>$/);
    expect(second).toBe(first);
    expect(other).not.toBe(first);
  });

  test('closes the connection to the mail server after each mail', async () => {
    const { url, connections } = await startMailServer();
    await sendMail(url);

    await vi.waitFor(() => expect(connections.size).toBe(0));
  });

  test.each(['\n', '\r', '\r\n', '\r\n\r\n'])(
    'line breaks in the subject (%j) add no headers or recipients',
    async (lineBreak) => {
      const { url, received } = await startMailServer();
      await sendMail(url, { subject: `Hi${lineBreak}Bcc: eve@example.net${lineBreak}X-Evil: 1` });

      expect(received).toMatchObject([{ to: ['ada@example.org'] }]);
      const mail = await parseMail(received[0]);
      expect([mail.header('bcc'), mail.header('x-evil')]).toEqual([[], []]);
      expect(mail.subject).toContain('Bcc: eve@example.net');
      expect(mail.text).toBe('Yes?\n');
    },
  );

  test.each([
    'ada@example.org\r\nBcc: eve@example.net',
    'ada@example.org\nRCPT TO:<eve@example.net>',
    'ada@example.org>\r\nRCPT TO:<eve@example.net',
    'ada@example.org, eve@example.net',
    'ada@example.org;eve@example.net',
    'eve@example.net <ada@example.org>',
    'ada@example.org eve@example.net',
    'Group: eve@example.net;',
    'ada@example.org\0',
    'ada',
    '',
  ])('fails permanently for the invalid address %j, without a connection to the mail server', async (to) => {
    const arrivals: string[] = [];
    const { url } = await startMailServer({
      onConnect(_session, done) {
        arrivals.push('somebody');
        done();
      },
    });

    expect(await catchFailure(sendMail(url, { to }))).toMatchObject({ type: 'MailRejected', nonRetryable: true });
    expect(arrivals).toEqual([]);
  });

  test.each([
    ['the recipient', { onRcptTo: (_to, _session, done) => done(smtpError(550, 'no such user')) }],
    [
      'the mail',
      { onData: (stream, _session, done) => stream.resume().on('end', () => done(smtpError(550, 'no such user'))) },
    ],
  ] satisfies [string, SMTPServerOptions][])(
    'fails permanently when the mail server rejects %s',
    async (_description, options) => {
      const { url } = await startMailServer(options);

      expect(await catchFailure(sendMail(url))).toMatchObject({
        type: 'MailRejected',
        nonRetryable: true,
        message: expect.stringMatching(/rejected the mail \((RCPT TO|DATA): 550\)$/),
      });
    },
  );

  test('when the mail server rejects the sender, fails as misconfigured and retries after five minutes', async () => {
    const { url } = await startMailServer({ onMailFrom: (_from, _session, done) => done(smtpError(550, 'not you')) });

    expect(await catchFailure(sendMail(url))).toMatchObject({
      type: 'MailMisconfigured',
      nonRetryable: false,
      nextRetryDelay: 5 * 60_000,
      message: 'the mail server rejects us (MAIL FROM: 550); check SMTP_URL and MAIL_FROM',
    });
  });

  test('fails with a retryable error when the mail server rejects the mail temporarily (450)', async () => {
    const { url } = await startMailServer({ onRcptTo: (_to, _session, done) => done(smtpError(450, 'greylisted')) });

    expect(await catchFailure(sendMail(url))).toMatchObject({
      type: 'MailUnavailable',
      nonRetryable: false,
      message: 'the mail server deferred the mail (RCPT TO: 450)',
    });
  });

  test('when the mail server rejects the login, fails as misconfigured without credentials in the message', async () => {
    const { url } = await startMailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _session, done) => done(smtpError(535, `not ${username} with ${password}`)),
    });

    expect(await catchFailure(sendMail(withLogin(url)))).toMatchObject({
      type: 'MailMisconfigured',
      nonRetryable: false,
      nextRetryDelay: 5 * 60_000,
      message: 'the mail server rejects us (login: 535); check SMTP_URL and MAIL_FROM',
      cause: undefined,
    });
  });

  test('uses the delay of the retry policy when the mail server cannot check the login', async () => {
    const { url } = await startMailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: (_auth, _session, done) => done(smtpError(454, 'later')),
    });

    expect(await catchFailure(sendMail(withLogin(url)))).toMatchObject({
      type: 'MailUnavailable',
      nextRetryDelay: undefined,
      message: 'the mail server deferred the mail (login: 454)',
    });
  });

  test('when the mail server is unreachable, fails with a retryable error that contains the reason but no credentials', async () => {
    const failure = await catchFailure(sendMail(withLogin(urlOf(await freePort()))));

    expect(failure).toMatchObject({
      type: 'MailUnavailable',
      nonRetryable: false,
      message: expect.stringContaining('ECONNREFUSED'),
      cause: undefined,
    });
    expect((failure as Error).message).not.toMatch(/p@ss|p%40ss|shop/);
  });

  test('times out with a retryable error when the mail server does not respond', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void silent.close());
    await once(silent, 'listening');
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const limit = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => timeout(ms / 100));
    const left = once(silent, 'connection').then(([socket]: Socket[]) => socket && once(socket.resume(), 'close'));

    const failure = await catchFailure(sendMail(urlOf((silent.address() as AddressInfo).port)));
    expect(failure).toMatchObject({ type: 'MailUnavailable', nonRetryable: false });
    expect(limit).toHaveBeenCalledWith(25_000);
    await left;
  });

  // Node 20 garbage-collects a timeout signal that only AbortSignal.any refers to. A listener keeps the signal alive.
  test('sending a mail protects its timeout signal from garbage collection', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout');
    const { url } = await startMailServer();
    await sendMail(url);

    const [limit] = timeout.mock.results;
    expect(getEventListeners(limit?.value as AbortSignal, 'abort')).not.toEqual([]);
  });

  test.each([{ path: import.meta.filename }, { href: 'http://127.0.0.1/' }])(
    'rejects a mail body that is a file or URL (%j), and sends nothing',
    async (body) => {
      const { url, received } = await startMailServer();

      expect(await catchFailure(sendMail(url, { text: body as never }))).toMatchObject({
        message: expect.stringContaining('access rejected'),
      });
      expect(received).toEqual([]);
    },
  );

  test('a cancelled activity closes the connection to the mail server and ends as cancelled', async () => {
    const env = createActivityEnvironment();
    const { url, connections } = await startMailServer({ onMailFrom: () => env.cancel() });

    expect(await catchFailure(sendMail(url, {}, env))).toBeInstanceOf(CancelledFailure);
    await vi.waitFor(() => expect(connections.size).toBe(0));
  });
});

describe('createMailer', () => {
  test.each(['', 'shop', 'shop@', 'The Shop <shop>'])(
    'createMailer rejects the invalid sender address "%s"',
    (from) => {
      expect(() => createMailer({ smtpUrl: 'smtp://127.0.0.1', from })).toThrow('MAIL_FROM: must contain an address');
    },
  );
});
