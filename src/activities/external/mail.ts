import { createHash } from 'node:crypto';
import { domainToASCII } from 'node:url';
import type { ApplicationFailure } from '@temporalio/common';
import { createTransport, type NodemailerError } from 'nodemailer';
import { email, toAsciiAddress } from '../../schemas/shared/email.js';
import { timeoutSignal } from '../../async/timeout-signal.js';
import { rejectionFailure } from '../../failures/rejections.js';
import { misconfiguredFailure, unavailableFailure } from '../failures.js';
import { withHeartbeat } from './heartbeat.js';

/**
 * SMTP commands for which a 5xx reply concerns the recipient or the content. For any other command, our configuration
 * causes the 5xx reply.
 */
const MESSAGE_LEVEL_SMTP_COMMANDS: readonly unknown[] = ['RCPT TO', 'DATA'];

export interface MailMessage {
  /** The address of one recipient, without a name. The domain may be internationalized. */
  to: string;
  subject: string;
  text: string;
  html: string;
  /** All attempts use the same id, so that receivers can detect duplicates. */
  id: string;
}

export type Mailer = ReturnType<typeof createMailer>;

/**
 * Time limit for sending a mail. Must be shorter than the start-to-close timeout (30 s) of the activities that send
 * mail.
 */
const SEND_TIMEOUT_MS = 25_000;

/** Time limit for the connection, the greeting of the server, and each of its responses. */
const STEP_TIMEOUT_MS = 9_000;

/**
 * Creates a mailer that opens one SMTP connection per mail.
 *
 * @param smtpUrl `smtp://user:password@host:587` or `smtps://…`. With `smtp`, STARTTLS is used if the server offers it;
 * `?requireTLS=true` enforces it.
 * @param from the sender's address, with or without a name.
 * @throws an Error when `from` has no host.
 */
export function createMailer({ smtpUrl, from }: { smtpUrl: string; from: string }) {
  const fromHost = domainToASCII(/@([^\s@<>]+)>?\s*$/.exec(from)?.[1] ?? '');
  if (!fromHost) throw new Error('MAIL_FROM: must contain an address, for example Shop <shop@example.com>');
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
     * Sends a mail from an activity. All attempts have the same Message-ID.
     *
     * @throws `MailRejected` (non-retryable) when the server rejects this mail (5xx) or `to` is not an address.
     * @throws `MailMisconfigured` (retried slowly) when the server rejects our login or our sender (5xx).
     * @throws `MailUnavailable` (retryable) for any other failure.
     */
    async send({ to, subject, text, html, id }: MailMessage): Promise<void> {
      const recipient = email.safeParse(to).success ? toAsciiAddress(to) : undefined;
      if (!recipient) throw rejectionFailure('MailRejected', 'the recipient is not an e-mail address');
      await withHeartbeat((cancellation) =>
        transport
          .sendMail({
            from,
            to: recipient,
            subject,
            text,
            html,
            messageId: `<${createHash('sha256').update(id).digest('hex')}@${fromHost}>`,
            headers: { 'Auto-Submitted': 'auto-generated' },
            signal: timeoutSignal(SEND_TIMEOUT_MS, cancellation),
          })
          .catch((error: NodemailerError) => {
            throw toMailFailure(error);
          }),
      );
    },
  };
}

/**
 * Maps an SMTP error to a failure that contains only the code of the server's reply. The text of the reply often quotes
 * the recipient, and after a failed login it may contain the credentials.
 */
function toMailFailure({ code, command = '', responseCode, message }: NodemailerError): ApplicationFailure {
  if (responseCode === undefined)
    return unavailableFailure('Mail', code === 'EAUTH' ? 'the login was not accepted' : message);
  const step = code === 'EAUTH' ? 'login' : command;
  if (responseCode < 500)
    return unavailableFailure('Mail', `the mail server deferred the mail (${step}: ${responseCode})`);
  if (MESSAGE_LEVEL_SMTP_COMMANDS.includes(step))
    return rejectionFailure('MailRejected', `the mail server rejected the mail (${step}: ${responseCode})`);
  return misconfiguredFailure(
    'Mail',
    `the mail server rejects us (${step}: ${responseCode}); check SMTP_URL and MAIL_FROM`,
  );
}
