import { z } from 'zod';
import { isLoopback } from '../../src/http-client/addresses.js';

const port = z.coerce.number().int().min(0).max(65_535);

/** The environment variables of the fake external systems. README.md in this folder explains each variable. */
export const environmentSchema = z
  .object({
    FAKES_HOST: z.string().min(1).default('127.0.0.1'),
    FAKES_PORT: port.default(3001),
    FAKES_LEDGER_PATH: z.string().min(1).optional(),
    FAKES_SMTP_PORT: z.union([port, z.literal('none')], 'must be a port, or none').default(3025),
    FAKES_MAILBOX_DIR: z.string().min(1).optional(),
    FAKES_STACK_DIR: z.string().min(1).optional(),
    CARRIER_CALLBACK_URL: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).optional(),
    CARRIER_WEBHOOK_SECRET: z
      .string()
      .regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, 'must be "whsec_" followed by base64')
      .optional(),
    SLACK_INTERACTIONS_URL: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).optional(),
    SLACK_SIGNING_SECRET: z.string().min(1).optional(),
    STRIPE_EVENTS_URL: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).optional(),
    STRIPE_WEBHOOK_SECRET: z.string().min(1).optional(),
    FAKE_CARRIER_PICKUP_SECONDS: z.coerce.number().nonnegative().max(1_000_000).default(1),
    FAKE_CARRIER_DELIVERY_SECONDS: z.coerce.number().nonnegative().max(1_000_000).default(3),
    LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  })
  .refine((env) => env.CARRIER_CALLBACK_URL === undefined || env.CARRIER_WEBHOOK_SECRET !== undefined, {
    path: ['CARRIER_WEBHOOK_SECRET'],
    error: 'must be set when CARRIER_CALLBACK_URL is set, because it signs the reports',
  })
  .refine((env) => env.SLACK_INTERACTIONS_URL === undefined || env.SLACK_SIGNING_SECRET !== undefined, {
    path: ['SLACK_SIGNING_SECRET'],
    error: 'must be set when SLACK_INTERACTIONS_URL is set, because it signs the interactions',
  })
  .refine((env) => env.STRIPE_EVENTS_URL === undefined || env.STRIPE_WEBHOOK_SECRET !== undefined, {
    path: ['STRIPE_WEBHOOK_SECRET'],
    error: 'must be set when STRIPE_EVENTS_URL is set, because it signs the events',
  })
  .refine((env) => env.FAKES_STACK_DIR === undefined || isLoopback(env.FAKES_HOST), {
    path: ['FAKES_STACK_DIR'],
    error: 'must not be set unless FAKES_HOST is a loopback address, because the page kills processes',
  });
