import { z } from 'zod';
import { buildProviders } from './app.js';

const environmentSchema = z
  .object({
    PROVIDERS_HOST: z.string().min(1).default('127.0.0.1'),
    PROVIDERS_PORT: z.coerce.number().int().min(0).max(65_535).default(3001),
    PROVIDERS_LEDGER: z.string().min(1).optional(),
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

const { app, close } = open(env.data);
let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    close().catch((error: unknown) => fail(`The providers did not stop cleanly: ${String(error)}`));
  });
}

const { PROVIDERS_HOST: host, PROVIDERS_PORT: port } = env.data;
try {
  const ledger = env.data.PROVIDERS_LEDGER ?? 'in memory';
  const listenTextResolver = (address: string) => `payment gateway and carrier at ${address}, ledger ${ledger}`;
  await app.listen({ host, port, listenTextResolver });
} catch (error) {
  const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
  fail(taken ? `Port ${port} on ${host} is taken; set PROVIDERS_PORT to another one.` : String(error));
}

function open(settings: z.infer<typeof environmentSchema>) {
  try {
    return buildProviders({
      ledgerFile: settings.PROVIDERS_LEDGER,
      callbackUrl: settings.CARRIER_CALLBACK_URL,
      webhookSecret: settings.CARRIER_WEBHOOK_SECRET,
      pickupSeconds: settings.CARRIER_PICKUP_SECONDS,
      deliverySeconds: settings.CARRIER_DELIVERY_SECONDS,
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
