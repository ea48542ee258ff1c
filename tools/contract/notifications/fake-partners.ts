import { createMailer } from '../../../src/activities/external/mail.js';
import { createWebhooks } from '../../../src/activities/external/webhooks.js';
import { createMailNotifier } from '../../../src/activities/notifiers/mail.js';
import { createSlackNotifier } from '../../../src/activities/notifiers/slack.js';
import { createWebhookNotifier } from '../../../src/activities/notifiers/webhook.js';
import { createApprovalLinkSigner } from '../../../src/approval-links/links.js';
import { createOutgoingHttpClient } from '../../../src/http-client/outgoing-http-client.js';
import { signSlackRequest } from '../../../src/slack/signature.js';
import { buildFakes } from '../../fakes/app.js';
import type { SlackPost } from '../../fakes/slack/workspace.js';
import { startFaultyServer, type ReceivedRequest } from './faulty-server.js';
import type { NotificationPartner, ReceivedMessage } from './partner.js';

const RETRY_AFTER_SECONDS = 90;
const NEVER_MS = 600_000;
const LINK_SECRET = 'the link secret of the contract suite';
const WEBHOOK_SECRET = `whsec_${Buffer.from('the secret of the contract suite').toString('base64')}`;
const SLACK_SIGNING_SECRET = 'signing-secret-of-the-contract-1';

/** Starts the fake mailbox for the notifier of mails. */
export async function startMailPartner(): Promise<NotificationPartner> {
  const fakes = buildFakes();
  const smtpUrl = await fakes.listenSmtp({ host: '127.0.0.1', port: 0 });
  const { mailbox } = fakes;
  const mailer = createMailer({ smtpUrl, from: 'The shop <no-reply@shop.example>' });
  const links = createApprovalLinkSigner([LINK_SECRET]);
  const notifier = createMailNotifier({ mailer, links, publicUrl: 'https://shop.example' });
  const addressOf = (approver: string) => `${approver}@example.com`;
  const addFault = (fault: Parameters<typeof mailbox.addFault>[1]) => async (approver: string) =>
    void mailbox.addFault(addressOf(approver), fault);
  return {
    name: 'mail (the fake mailbox)',
    createNotifier: (approver) => ({
      channel: notifier.channel,
      send: (message, options) => notifier.send({ ...message, email: addressOf(approver) }, options),
    }),
    receivedBy: async (approver) =>
      (await mailbox.mailsTo(addressOf(approver))).map(({ messageId, subject, text, html }) => ({
        identity: messageId,
        text: `${subject}\n${text}`,
        markup: html,
      })),
    failures: { unavailable: 'MailUnavailable', rejected: 'MailRejected', misconfigured: 'MailMisconfigured' },
    hostileTexts: ['<script>alert(1)</script>', '<a href="https://example.com">Decide</a>', '</td><td>Amount'],
    faults: {
      'lost response': addFault({ code: 451, stored: true }),
      unavailable: addFault({ code: 451 }),
      rejected: addFault({ code: 550 }),
    },
    holdNextMessage: addFault({ delayMs: NEVER_MS }),
    close: fakes.close,
  };
}

/** Starts a receiver for the notifier of webhooks. */
export async function startWebhookPartner(): Promise<NotificationPartner> {
  const received: { approver: string; message: ReceivedMessage }[] = [];
  const approverOf = ({ url }: ReceivedRequest) => url.slice(1);
  const server = await startFaultyServer({
    approverOf,
    async handle(request) {
      const message = { identity: String(request.headers['webhook-id']), text: request.body };
      received.push({ approver: approverOf(request), message });
      return { status: 204, body: '' };
    },
  });
  const outgoing = createOutgoingHttpClient({ allowedHosts: [], allowPrivateAddresses: true });
  const notifier = createWebhookNotifier(createWebhooks({ outgoing, secrets: [WEBHOOK_SECRET] }));
  return {
    name: 'webhook (a receiver on this machine)',
    createNotifier: (approver) => ({
      channel: notifier.channel,
      send: (message, options) => notifier.send({ ...message, webhookUrl: `${server.url}/${approver}` }, options),
    }),
    receivedBy: async (approver) => received.filter((each) => each.approver === approver).map(({ message }) => message),
    failures: { unavailable: 'ReceiverUnavailable', rejected: 'ReceiverGone' },
    ...faultsOf(server, { status: 410 }),
    close: server.close,
  };
}

/** Starts the fake Slack for the notifier of Slack. */
export async function startSlackPartner(): Promise<NotificationPartner> {
  const fakes = buildFakes({ slackSigningSecret: SLACK_SIGNING_SECRET });
  const userOf = (approver: string) => `U${approver.replace(/\W/g, '').toUpperCase()}`;
  const server = await startFaultyServer({
    approverOf: ({ body }) => (JSON.parse(body) as { channel: string }).channel.slice(1),
    async handle({ url, headers, body }) {
      const response = await fakes.app.inject({
        method: 'POST',
        url,
        headers: { authorization: headers.authorization, 'content-type': 'application/json' },
        payload: body,
      });
      return { status: response.statusCode, body: response.body };
    },
  });
  const notifier = createSlackNotifier(
    { apiUrl: `${server.url}/slack/api`, botToken: 'xoxb-contract' },
    { userOf, approverOf: () => undefined },
  );
  const setFault: typeof server.setFault = (approver, fault) => server.setFault(userOf(approver).slice(1), fault);
  const { faults, ...others } = faultsOf({ setFault }, slackError('channel_not_found'));
  return {
    name: 'slack (the fake Slack)',
    createNotifier: () => notifier,
    receivedBy: async (approver) => fakes.slack.messages(userOf(approver)).map(toReceivedMessage),
    failures: { unavailable: 'SlackUnavailable', rejected: 'SlackRejected', misconfigured: 'SlackMisconfigured' },
    hostileTexts: ['<!channel>', '<https://example.com|Approve>', '*Amount*\n1.00 EUR', '> quote'],
    faults: { ...faults, unauthorized: async (approver) => setFault(approver, slackError('invalid_auth')) },
    ...others,
    interactions: {
      secrets: [SLACK_SIGNING_SECRET],
      sign: (payload, { sentAt, secret = SLACK_SIGNING_SECRET }) => {
        const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
        const timestamp = String(Math.floor(sentAt.getTime() / 1_000));
        const signature = signSlackRequest(secret, timestamp, body);
        return { body, headers: { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': signature } };
      },
    },
    async close() {
      await server.close();
      await fakes.close();
    },
  };
}

function faultsOf(
  { setFault }: Pick<Awaited<ReturnType<typeof startFaultyServer>>, 'setFault'>,
  rejection: { status: number; body?: string },
) {
  const faults: NotificationPartner['faults'] = {
    'lost response': async (approver) => setFault(approver, 'lost response'),
    unavailable: async (approver) => setFault(approver, { status: 503 }),
    'rate limited': async (approver) => setFault(approver, { status: 429, retryAfter: String(RETRY_AFTER_SECONDS) }),
    rejected: async (approver) => setFault(approver, rejection),
    garbled: async (approver) => setFault(approver, 'garbled'),
  };
  return {
    faults,
    retryAfterMs: RETRY_AFTER_SECONDS * 1_000,
    holdNextMessage: async (approver: string) => setFault(approver, 'no response'),
  };
}

/** Slack reports most errors with the status 200. */
const slackError = (error: string) => ({ status: 200, body: JSON.stringify({ ok: false, error }) });

function toReceivedMessage({ text, blocks }: SlackPost): ReceivedMessage {
  const texts = blocks.flatMap((block) => {
    if (block.type === 'actions') return [];
    if (block.type === 'context') return block.elements;
    if (block.type === 'header') return [block.text];
    return [...(block.text ? [block.text] : []), ...(block.fields ?? [])];
  });
  const buttons = blocks.flatMap((block) => (block.type === 'actions' ? block.elements : []));
  return {
    identity: buttons[0]?.value,
    text: [text, ...texts.map((each) => each.text)].join('\n'),
    markup: [text, ...texts.filter(({ type }) => type === 'mrkdwn').map((each) => each.text)].join('\n'),
  };
}
