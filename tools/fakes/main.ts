import { z } from 'zod';
import { buildFakes } from './app.js';
import { environmentSchema } from './environment.js';

const isSet = ([, value]: [string, string | undefined]) => value !== '';
const env = environmentSchema.safeParse(Object.fromEntries(Object.entries(process.env).filter(isSet)));
if (!env.success) fail(`The fakes cannot start:\n${z.prettifyError(env.error)}`);

const fakes = buildFromEnvironment(env.data);
const { app, listenSmtp, close } = fakes;
const { FAKES_STACK_DIR: stackDir } = env.data;
if (stackDir !== undefined) {
  // Loaded only in the development stack, because the image of the fakes does not contain all of its packages.
  const { breakItPages } = await import('../break-it/routes.js');
  await app.register(breakItPages, { prefix: '/break-it', fakes, stackDir });
}
let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    close().catch((error: unknown) => fail(`The fakes did not stop cleanly: ${String(error)}`));
  });
}

const { FAKES_HOST: host, FAKES_SMTP_PORT: smtpPort } = env.data;
const mails = env.data.FAKES_MAILBOX_DIR ?? 'in memory';
const mailText =
  smtpPort === 'none'
    ? 'no mailbox'
    : await listen('FAKES_SMTP_PORT', smtpPort, async (port) => {
        return `mailbox at ${await listenSmtp({ host, port })}, mails ${mails}`;
      });
await listen('FAKES_PORT', env.data.FAKES_PORT, (port) => {
  const ledger = env.data.FAKES_LEDGER_PATH ?? 'in memory';
  const listenTextResolver = (address: string) =>
    `payment gateway, Slack and carrier at ${address}, ledger ${ledger}, ${mailText}`;
  return app.listen({ host, port, listenTextResolver });
});

async function listen(variable: string, port: number, start: (port: number) => Promise<string>): Promise<string> {
  return start(port).catch((error: NodeJS.ErrnoException) => {
    const taken = error.code === 'EADDRINUSE';
    return fail(taken ? `Port ${port} on ${host} is taken; set ${variable} to another port.` : String(error));
  });
}

function buildFromEnvironment(settings: z.infer<typeof environmentSchema>) {
  try {
    return buildFakes({
      ledgerFile: settings.FAKES_LEDGER_PATH,
      callbackUrl: settings.CARRIER_CALLBACK_URL,
      webhookSecret: settings.CARRIER_WEBHOOK_SECRET,
      pickupSeconds: settings.FAKE_CARRIER_PICKUP_SECONDS,
      deliverySeconds: settings.FAKE_CARRIER_DELIVERY_SECONDS,
      mailFolder: settings.FAKES_MAILBOX_DIR,
      slackInteractionsUrl: settings.SLACK_INTERACTIONS_URL,
      slackSigningSecret: settings.SLACK_SIGNING_SECRET,
      stripeEventsUrl: settings.STRIPE_EVENTS_URL,
      // During a rotation, the variable has two secrets. The first one signs.
      stripeWebhookSecret: settings.STRIPE_WEBHOOK_SECRET?.split(',')[0],
      logger: { level: settings.LOG_LEVEL },
    });
  } catch (error) {
    return fail(`The fakes cannot start: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
