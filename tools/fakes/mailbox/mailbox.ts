import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import PostalMime from 'postal-mime';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import type { z } from 'zod';
import { type StoredMail, MailStore } from './mail-store.js';
import { isSameAddress, type SmtpFault, SmtpFaults, smtpFaultSchema } from './smtp-faults.js';

const MAX_MAILS = 1_000;
const MAX_MAIL_BYTES = 10_000_000;
/** How long `close` waits for a client that keeps its connection open for later mails. */
const CLOSE_TIMEOUT_MS = 100;

/** A parsed mail. */
export interface Mail {
  id: number;
  /** `Name <address>`, or only the address. */
  from: string;
  /** The recipients from the SMTP session. The headers can differ. */
  to: string[];
  subject: string;
  /** Empty when the mail has no text part. */
  text: string;
  html: string;
  messageId: string;
  receivedAt: string;
  /** Headers by lower-case name. For a repeated header, the first value. */
  headers: Record<string, string>;
}

interface MailboxOptions {
  /** If unset, mails are kept in memory. */
  mailFolder?: string | undefined;
  log: { warn(details: object, message: string): void };
}

/**
 * The fake mailbox: an SMTP server that accepts mails to any address, does not forward them, and keeps the newest 1,000
 * mails.
 */
export class Mailbox {
  readonly #store: MailStore;
  readonly #faults = new SmtpFaults();
  readonly #parsed = new WeakMap<StoredMail, Promise<Mail>>();
  readonly #server: SMTPServer;

  constructor({ mailFolder, log }: MailboxOptions) {
    this.#store = new MailStore(mailFolder, MAX_MAILS);
    this.#server = new SMTPServer({
      disabledCommands: ['AUTH', 'STARTTLS'],
      authOptional: true,
      disableReverseLookup: true,
      logger: false,
      size: MAX_MAIL_BYTES,
      rejectOversized: true,
      closeTimeout: CLOSE_TIMEOUT_MS,
      onRcptTo: ({ address }, _session, done) => void this.#recipient(address).then(() => done(), done),
      onData: (stream, session, done) => void this.#data(stream, session).then(() => done(), done),
    });
    this.#server.on('error', (error: Error) => log.warn({ error }, 'a mail was not received'));
  }

  /** Starts the server and returns its address. Port 0 chooses a free port. */
  async listen({ host, port }: { host: string; port: number }): Promise<string> {
    const listening = once(this.#server.server, 'listening');
    this.#server.listen(port, host);
    await listening;
    const { address, family, port: taken } = this.#server.server.address() as AddressInfo;
    return `smtp://${family === 'IPv6' ? `[${address}]` : address}:${taken}`;
  }

  /** Returns the mails to an address, oldest first. Contains every mail whose sender has received the reply 250. */
  async mailsTo(address: string): Promise<Mail[]> {
    return this.#readAll((recipient) => isSameAddress(recipient, address));
  }

  /** Returns all mails, oldest first. */
  async mails(): Promise<Mail[]> {
    return this.#readAll(() => true);
  }

  async mail(id: number): Promise<Mail | undefined> {
    const stored = this.#store.get(id);
    return stored && this.#mail(stored);
  }

  /** Returns the mail exactly as received, preceded by one header line that contains the envelope. */
  async raw(id: number): Promise<Buffer | undefined> {
    const stored = this.#store.get(id);
    return stored && this.#store.content(stored);
  }

  /** Makes mails to an address fail. By default, only the next mail fails. */
  addFault(address: string, options: Omit<z.input<typeof smtpFaultSchema>, 'to'> = {}): SmtpFault {
    const fault = smtpFaultSchema.parse({ to: address, ...options });
    this.#faults.add(fault);
    return fault;
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  /** Stops accepting mails. Stored mails stay readable. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(resolve));
  }

  async #recipient(address: string): Promise<void> {
    await this.#applyFault(this.#faults.take(false, address));
  }

  async #data(stream: SMTPServerDataStream, { envelope }: SMTPServerSession): Promise<void> {
    const raw = await buffer(stream);
    if (stream.sizeExceeded) return;
    const to = envelope.rcptTo.map(({ address }) => address);
    const from = envelope.mailFrom ? envelope.mailFrom.address : '';
    await PostalMime.parse(raw).catch((cause: Error) => {
      throw smtpError(554, `The mail cannot be read: ${cause.message}`);
    });
    await this.#store.add({ from, to, receivedAt: new Date().toISOString() }, raw).catch((cause: Error) => {
      throw smtpError(452, `The mail cannot be stored: ${cause.message}`);
    });
    await this.#applyFault(this.#faults.take(true, ...to));
  }

  async #applyFault(fault: SmtpFault | undefined): Promise<void> {
    if (!fault) return;
    await sleep(fault.delayMs, undefined, { ref: false });
    throw smtpError(fault.code, 'An injected fault rejects this mail.');
  }

  async #readAll(isRecipient: (recipient: string) => boolean): Promise<Mail[]> {
    const mails = this.#store.list().filter(({ envelope }) => envelope.to.some(isRecipient));
    return Promise.all(mails.map((stored) => this.#mail(stored)));
  }

  #mail(stored: StoredMail): Promise<Mail> {
    const mail = this.#parsed.get(stored) ?? this.#store.content(stored).then((content) => parseMail(stored, content));
    this.#parsed.set(stored, mail);
    return mail;
  }
}

async function parseMail({ id, envelope }: StoredMail, content: Buffer): Promise<Mail> {
  const { from, subject, text, html, messageId, headers } = await PostalMime.parse(content);
  const sender = from?.address ?? envelope.from;
  return {
    id,
    from: from?.name ? `${from.name} <${sender}>` : sender,
    to: envelope.to,
    subject: subject ?? '',
    text: text ?? '',
    html: html ?? '',
    messageId: messageId ?? '',
    receivedAt: envelope.receivedAt,
    headers: Object.fromEntries(headers.map(({ key, value }) => [key, value] as const).reverse()),
  };
}

function smtpError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}
