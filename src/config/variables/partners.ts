import { z } from 'zod';
import { approvalStages } from '../../schemas/approval.js';
import { slackApprovers } from '../../schemas/slack.js';
import {
  allowedHosts,
  booleanFlag,
  httpUrl,
  integer,
  jsonOf,
  plainSecrets,
  stripeApiUrl,
  stripeSecretKey,
  stripeWebhookSecrets,
  webhookSecrets,
} from '../parsers.js';
import type { VariableDeclaration } from './declaration.js';

const WEBHOOK_SECRET_EXAMPLE = 'whsec_$(openssl rand -base64 32)';

/**
 * Variables for external systems: payment gateway, carrier, mail server, and the webhooks and links in both directions.
 */
export const PARTNER_VARIABLES = {
  PAYMENTS: {
    schema: z.enum(['plain', 'stripe'], 'must be plain or stripe').default('plain'),
    description:
      'The adapter to the payment gateway. plain: HTTP with JSON, as the fake payment gateway speaks it. stripe: Stripe.',
    example: 'stripe',
    readBy: ['worker'],
  },
  PAYMENTS_URL: {
    schema: httpUrl.optional(),
    description:
      'The base URL of the payment gateway. Required with PAYMENTS=plain, and not used with PAYMENTS=stripe.',
    example: 'https://payments.example.com',
    readBy: ['worker'],
  },
  PAYMENTS_KEY_RETENTION_HOURS: {
    schema: integer(1, 8_760).default(24),
    description:
      'How long the payment gateway keeps an idempotency key, in hours. For an older order, the worker looks up the charge before it charges. Stripe keeps its keys for 24 hours, so PAYMENTS=stripe does not use this variable.',
    example: '24',
    readBy: ['worker'],
  },
  STRIPE_SECRET_KEY: {
    schema: stripeSecretKey.optional(),
    description: 'The secret key of the Stripe account, or a restricted key. Required with PAYMENTS=stripe.',
    example: 'sk_test_51…',
    readBy: ['worker'],
    secret: true,
  },
  STRIPE_API_URL: {
    schema: stripeApiUrl.optional(),
    description:
      'The URL of another server with the API of Stripe, such as the fake payment gateway or stripe-mock. Must be an https URL with a live key.',
    example: 'http://127.0.0.1:3001',
    readBy: ['worker'],
  },
  STRIPE_WEBHOOK_SECRET: {
    schema: stripeWebhookSecrets.optional(),
    description:
      'Verifies the events of Stripe. One secret, or two separated by a comma during a rotation. Without it, the API rejects all events.',
    example: 'whsec_…, as the page of the webhook endpoint in Stripe shows it',
    readBy: ['api'],
    secret: true,
  },
  CARRIER: {
    schema: z.enum(['plain'], 'must be plain').default('plain'),
    description: 'The adapter to the carrier. plain: HTTP with JSON, as the fake carrier speaks it.',
    example: 'plain',
    readBy: ['worker'],
  },
  CARRIER_URL: {
    schema: httpUrl,
    description: 'The base URL of the carrier.',
    example: 'https://carrier.example.com',
    readBy: ['worker'],
  },
  CARRIER_KEY_RETENTION_HOURS: {
    schema: integer(1, 8_760).default(24),
    description:
      'How long the carrier keeps an idempotency key, in hours. For an older order, the worker looks up the shipment before it requests one.',
    example: '24',
    readBy: ['worker'],
  },
  CARRIER_WEBHOOK_SECRET: {
    schema: webhookSecrets,
    description: "Verifies the carrier's reports. One secret, or two separated by a comma during a rotation.",
    example: WEBHOOK_SECRET_EXAMPLE,
    readBy: ['api'],
    secret: true,
  },
  APPROVAL_WEBHOOK_SECRET: {
    schema: webhookSecrets,
    description: 'Verifies the decisions of systems that approve. One secret, or two during a rotation.',
    example: WEBHOOK_SECRET_EXAMPLE,
    readBy: ['api'],
    secret: true,
  },
  OUTGOING_WEBHOOK_SECRET: {
    schema: webhookSecrets,
    description: 'Signs outgoing webhooks: approval requests and outcomes. One secret, or two during a rotation.',
    example: WEBHOOK_SECRET_EXAMPLE,
    readBy: ['worker'],
    secret: true,
  },
  APPROVAL_LINK_SECRET: {
    schema: plainSecrets,
    description: 'Signs the links to the approval page in e-mails. One secret, or two during a rotation.',
    example: '$(openssl rand -hex 32)',
    readBy: ['worker', 'api'],
    secret: true,
  },
  PUBLIC_URL: {
    schema: httpUrl,
    description: 'The URL of the API in the links of e-mails.',
    example: 'https://shop.example.com',
    readBy: ['worker'],
  },
  SLACK_BOT_TOKEN: {
    schema: z
      .string()
      .regex(/^xoxb-[\w-]+$/, 'must be a bot token, which starts with xoxb-')
      .meta({ values: 'bot token of Slack' })
      .optional(),
    description:
      'The token with which the app posts in Slack. Set SLACK_BOT_TOKEN, SLACK_SIGNING_SECRET and SLACK_APPROVERS together. Without them, approvers get no messages in Slack.',
    example: 'xoxb-…, as the page "OAuth & Permissions" of the Slack app shows it',
    readBy: ['worker', 'api'],
    secret: true,
  },
  SLACK_SIGNING_SECRET: {
    schema: plainSecrets.optional(),
    description: 'Verifies the interactions that Slack sends. One secret, or two during a rotation.',
    example: 'the signing secret on the page "Basic Information" of the Slack app',
    readBy: ['api'],
    secret: true,
  },
  SLACK_APPROVERS: {
    schema: jsonOf(slackApprovers).optional(),
    description: 'The approver of each Slack user, as JSON: the approver ids by Slack user id.',
    example: `'{"U012AB3CD":"grace"}'`,
    readBy: ['worker', 'api'],
  },
  SLACK_API_URL: {
    schema: httpUrl.default('https://slack.com/api'),
    description: "The base URL of Slack's Web API.",
    example: 'https://slack.com/api/',
    readBy: ['worker', 'api'],
  },
  SMTP_URL: {
    schema: z
      .url({ protocol: /^smtps?$/, error: 'must be an smtp or smtps URL' })
      .meta({ values: 'smtp or smtps URL' }),
    description: 'The mail server. Use `smtps://` or `?requireTLS=true` for a mail server on another machine.',
    example: 'smtps://user:password@mail.example.com',
    readBy: ['worker'],
    secret: true,
  },
  MAIL_FROM: {
    schema: z
      .string()
      .regex(/^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/, 'must be an e-mail address')
      .meta({ values: 'e-mail address, with or without a name' }),
    description: 'The sender of e-mails.',
    example: 'The shop <no-reply@example.com>',
    readBy: ['worker'],
  },
  OUTGOING_ALLOWED_HOSTS: {
    schema: allowedHosts.default([]),
    description: 'The hosts that webhook and callback URLs can contain. By default, all public hosts.',
    example: 'hooks.example.com,*.partner.example',
    readBy: ['worker', 'api'],
  },
  OUTGOING_ALLOW_PRIVATE: {
    schema: booleanFlag.default(false),
    description: 'Whether webhook and callback URLs can resolve to private addresses.',
    example: 'false',
    readBy: ['worker', 'api'],
  },
  STANDALONE_OUTCOME_REPORTS: {
    schema: booleanFlag.default(true),
    description:
      'Whether a standalone activity reports the outcome of an approval to its callback URL. Without it, or if the Temporal server offers no standalone activities, the approval workflow stays open for the report.',
    example: 'true',
    readBy: ['worker'],
  },
  ORDER_APPROVAL_THRESHOLD: {
    schema: integer(1, Number.MAX_SAFE_INTEGER).optional(),
    description:
      'The total, in minor units, from which an order needs an approval. Set together with ORDER_APPROVAL_STAGES. Without both, no order needs an approval.',
    example: '100000',
    readBy: ['worker'],
  },
  ORDER_APPROVAL_STAGES: {
    schema: jsonOf(approvalStages).optional(),
    description: 'The approval stages of orders, as JSON in the format of `stages` in `examples/approval.json`.',
    example: `'[{"approvers":[{"id":"lead","email":"lead@example.com"}],"timeoutSeconds":86400}]'`,
    readBy: ['worker'],
    secret: true,
  },
} as const satisfies Record<string, VariableDeclaration>;
