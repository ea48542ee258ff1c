import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTransport } from 'nodemailer';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  deadline,
  fakesClient,
  makeLedgerPath,
  newOrderId,
  sendRequest,
  startFakesWithClient,
} from '../../support/fakes/fakes-client.js';

describe('the process of the fake partners', () => {
  const main = fileURLToPath(new URL('../../../tools/fakes/main.ts', import.meta.url));

  function start(env: Record<string, string>) {
    const child = spawn(process.execPath, ['--import', 'tsx', main], {
      env: { PATH: process.env['PATH'], FAKES_PORT: '0', FAKES_SMTP_PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { text: '' };
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output.text += String(data)));
    const exited = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    onTestFinished(() => void child.kill('SIGKILL'));
    return { child, output, exited };
  }

  async function listening({ output }: { child: ChildProcess; output: { text: string } }) {
    const url = () => /carrier at (http:\/\/[\d.:]+)/.exec(output.text)?.[1];
    await vi.waitFor(() => expect(url(), output.text).toBeDefined(), { ...deadline, timeout: 20_000 });
    return fakesClient(url()!);
  }

  test(
    'still finds a charge after SIGKILL and a restart, and exits with 0 on SIGTERM',
    { timeout: 60_000 },
    async () => {
      const FAKES_LEDGER_PATH = makeLedgerPath();
      const orderId = newOrderId();
      const first = start({ FAKES_LEDGER_PATH });
      const charge = await (await listening(first)).charge(orderId);
      first.child.kill('SIGKILL');
      await first.exited;

      const second = start({ FAKES_LEDGER_PATH });
      const client = await listening(second);
      expect(charge.status).toBe(201);
      expect(await client.charge(orderId)).toEqual(charge);
      expect(await sendRequest('GET', `${client.base}/healthz`)).toEqual({ status: 200, body: { status: 'ok' } });

      second.child.kill('SIGTERM');
      expect(await second.exited).toEqual([0, null]);
    },
  );

  test('exits immediately and reports each invalid setting', { timeout: 60_000 }, async () => {
    const { output, exited } = start({ FAKES_PORT: 'many', CARRIER_WEBHOOK_SECRET: 'hush' });

    expect(await exited).toEqual([1, null]);
    expect(output.text).toMatch(/FAKES_PORT/);
    expect(output.text).toMatch(/CARRIER_WEBHOOK_SECRET/);
  });

  test.each(['FAKES_PORT', 'FAKES_SMTP_PORT'])(
    'exits with the variable and the port when the port of %s is in use',
    { timeout: 60_000 },
    async (variable) => {
      const fakes = await startFakesWithClient();
      const port = new URL(fakes.base).port;

      const { output, exited } = start({ [variable]: port });

      expect(await exited).toEqual([1, null]);
      expect(output.text).toContain(`Port ${port} on 127.0.0.1 is taken; set ${variable} to another port.`);
    },
  );

  test(
    'exits while a mail response is delayed, keeps the e-mail in its folder, and needs no SMTP port',
    { timeout: 60_000 },
    async () => {
      const FAKES_MAILBOX_DIR = join(makeLedgerPath(), 'mails');
      const first = start({ FAKES_MAILBOX_DIR });
      const client = await listening(first);
      const transport = createTransport(/mailbox at (smtp:[\d./:]+)/.exec(first.output.text)?.[1]);
      await client.test('POST', 'mails/faults', { to: 'b@example.com', delayMs: 600_000, stored: true });
      const broken = expect(
        transport.sendMail({ from: 'a@example.com', to: 'b@example.com', text: 'Hello' }),
      ).rejects.toThrow();
      const mailsOf = async ({ test }: typeof client) => (await test('GET', 'mails?to=b@example.com')).body['mails'];
      await vi.waitFor(async () => expect(await mailsOf(client)).toHaveLength(1), deadline);
      first.child.kill('SIGTERM');
      expect(await first.exited).toEqual([0, null]);
      await broken;

      const second = start({ FAKES_MAILBOX_DIR, FAKES_SMTP_PORT: 'none' });
      expect(await mailsOf(await listening(second))).toMatchObject([{ to: ['b@example.com'] }]);
      expect(second.output.text).toContain('no mailbox');
    },
  );
});
