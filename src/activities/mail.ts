import { createHash } from 'node:crypto';
import { domainToASCII } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import { createTransport, type NodemailerError } from 'nodemailer';
import { email, toAsciiAddress } from '../schemas/email.js';
import { timeLimit } from '../time-limit.js';
import { refused } from './failures.js';
import { whileBeating } from './outside.js';

/** Steps at which a server judges the recipient or the content; at others, 5xx is about us and may be put right. */
const ABOUT_THIS_MAIL: readonly unknown[] = ['RCPT TO', 'DATA'];

export interface MailMessage {
  /** One address, without a name; its domain may be internationalised. */
  to: string;
  subject: string;
  text: string;
  html: string;
  /** The same for every attempt, so that receivers can recognise a repeat. */
  key: string;
}

export type Mailer = ReturnType<typeof createMailer>;

/** Below the start-to-close timeout (30 s) of the activities that send mail. */
const SEND_TIMEOUT_MS = 25_000;

/** How long the server may take to be connected, to greet, and for each of its answers. */
const STEP_TIMEOUT_MS = 9_000;

/**
 * Sends mail over SMTP, each over a connection of its own.
 *
 * @param smtpUrl `smtp://user:password@host:587` (STARTTLS where offered; `?requireTLS=true` insists) or `smtps://…`.
 * @param from an address, with or without a name.
 * @throws an Error when `from` has no host.
 */
export function createMailer({ smtpUrl, from }: { smtpUrl: string; from: string }) {
  const fromHost = domainToASCII(/@([^\s@<>]+)>?\s*$/.exec(from)?.[1] ?? '');
  if (!fromHost) throw new Error('mail needs an address to be sent from, such as Shop <shop@example.com>');
  const transport = createTransport({
    url: smtpUrl,
    connectionTimeout: STEP_TIMEOUT_MS,
    greetingTimeout: STEP_TIMEOUT_MS,
    socketTimeout: STEP_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });

  return {
    /**
     * Sends once, from an activity; every attempt has the same Message-ID.
     *
     * @throws `MailRefused`, which is final, when the server rejects this mail (5xx) or `to` is not an address;
     * `MailUnavailable` for everything else, including a rejected login, which an operator can fix.
     */
    async send({ to, subject, text, html, key }: MailMessage): Promise<void> {
      const recipient = email.safeParse(to).success ? toAsciiAddress(to) : undefined;
      if (!recipient) throw refused('MailRefused', 'the recipient is not an e-mail address');
      await whileBeating((cancellation) =>
        transport
          .sendMail({
            from,
            to: recipient,
            subject,
            text,
            html,
            messageId: `<${createHash('sha256').update(key).digest('hex')}@${fromHost}>`,
            headers: { 'Auto-Submitted': 'auto-generated' },
            signal: timeLimit(SEND_TIMEOUT_MS, cancellation),
          })
          .catch((error: NodemailerError) => {
            throw failureOf(error);
          }),
      );
    },
  };
}

/** Of a server's answer only the code: its words often quote the recipient, and about a login they may hold the login. */
function failureOf({ code, command = '', responseCode, message }: NodemailerError): ApplicationFailure {
  if (code === 'EAUTH') return unavailable(`the login was not taken (${responseCode ?? 'no answer'})`);
  if (responseCode === undefined) return unavailable(message);
  const isFinal = responseCode >= 500 && ABOUT_THIS_MAIL.includes(command);
  if (isFinal) return refused('MailRefused', `the mail server refused it for good (${command}: ${responseCode})`);
  return unavailable(`the mail server did not take it (${command}: ${responseCode})`);
}

function unavailable(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'MailUnavailable', message });
}
