import { z } from 'zod';
import { buildProviders } from './app.js';

const port = z.coerce.number().int().min(0).max(65_535);

const environmentSchema = z
  .object({
    PROVIDERS_HOST: z.string().min(1).default('127.0.0.1'),
    PROVIDERS_PORT: port.default(3001),
    PROVIDERS_LEDGER: z.string().min(1).optional(),
    PROVIDERS_SMTP_PORT: z.union([port, z.literal('none')], 'must be a port, or none').default(3025),
    PROVIDERS_MAILS: z.string().min(1).optional(),
    CARRIER_CALLBACK_URL: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).optional(),
    CARRIER_WEBHOOK_SECRET: z
      .string()
      .regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, 'must be "whsec_" followed by base64')
      .optional(),
    CARRIER_PICKUP_SECONDS: z.coerce.number().nonnegative().max(1_000_000).default(1),
    CARRIER_DELIVERY_SECONDS: z.coerce.number().nonnegative().max(1_000_000).default(3),
    LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  })
  .refine((env) => env.CARRIER_CALLBACK_URL === undefined || env.CARRIER_WEBHOOK_SECRET !== undefined, {
    path: ['CARRIER_WEBHOOK_SECRET'],
    error: 'is needed to sign what goes to CARRIER_CALLBACK_URL',
  });

const isSet = ([, value]: [string, string | undefined]) => value !== '';
const env = environmentSchema.safeParse(Object.fromEntries(Object.entries(process.env).filter(isSet)));
if (!env.success) fail(`The providers cannot start:\n${z.prettifyError(env.error)}`);

const { app, listenSmtp, close } = open(env.data);
let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    close().catch((error: unknown) => fail(`The providers did not stop cleanly: ${String(error)}`));
  });
}

const { PROVIDERS_HOST: host, PROVIDERS_SMTP_PORT: smtpPort } = env.data;
const mails = env.data.PROVIDERS_MAILS ?? 'in memory';
const mailText =
  smtpPort === 'none'
    ? 'no mailbox'
    : await listen('PROVIDERS_SMTP_PORT', smtpPort, async (port) => {
        return `mailbox at ${await listenSmtp({ host, port })}, mails ${mails}`;
      });
await listen('PROVIDERS_PORT', env.data.PROVIDERS_PORT, (port) => {
  const ledger = env.data.PROVIDERS_LEDGER ?? 'in memory';
  const listenTextResolver = (address: string) =>
    `payment gateway and carrier at ${address}, ledger ${ledger}, ${mailText}`;
  return app.listen({ host, port, listenTextResolver });
});

async function listen(variable: string, port: number, start: (port: number) => Promise<string>): Promise<string> {
  return start(port).catch((error: NodeJS.ErrnoException) => {
    const taken = error.code === 'EADDRINUSE';
    return fail(taken ? `Port ${port} on ${host} is taken; set ${variable} to another one.` : String(error));
  });
}

function open(settings: z.infer<typeof environmentSchema>) {
  try {
    return buildProviders({
      ledgerFile: settings.PROVIDERS_LEDGER,
      callbackUrl: settings.CARRIER_CALLBACK_URL,
      webhookSecret: settings.CARRIER_WEBHOOK_SECRET,
      pickupSeconds: settings.CARRIER_PICKUP_SECONDS,
      deliverySeconds: settings.CARRIER_DELIVERY_SECONDS,
      mailFolder: settings.PROVIDERS_MAILS,
      logger: { level: settings.LOG_LEVEL },
    });
  } catch (error) {
    return fail(`The providers cannot start: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
