import { relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { liveProcesses } from '../processes/processes.js';
import { streamReport } from '../terminal/report.js';
import {
  checkout,
  inheritedEnvironment,
  publishedSecrets,
  readSettings,
  SettingsError,
  type Settings,
} from './settings.js';
import { configurationProblems, startStack, stopLeftovers, type Stack } from './stack.js';

/** npm passes the terminal's Ctrl-C on, so one press arrives twice. */
const samePressMs = 1_000;
const lookForParentMs = 500;
/** Time from the stop request until all remaining processes are killed. The worker may use 30 s of it. */
const stopLimitMs = 60_000;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const report = streamReport();
// The reader of the output may exit before everything is stopped.
process.stdout.on('error', () => undefined);

/** `npm start`: starts everything, prints one summary, and stops everything on Ctrl-C. */
async function main(): Promise<void> {
  const stopAsked = onStopRequest();
  const { settings, problems } = readSettings();
  if (problems.length) throw new SettingsError([...problems, ...(await configurationProblems(settings))]);
  const giveUp = new AbortController();
  const starting = startStack(settings, { report, signal: giveUp.signal });
  const stack = await Promise.race([starting, stopAsked]);
  if (stack === 'stop') {
    report.say('Stopping …');
    giveUp.abort();
    return stopWhileStarting(starting);
  }

  report.say(welcome(stack, settings));
  const reason = await Promise.race([stack.failed, stopAsked]);
  report.say(reason === 'stop' ? 'Stopping …' : `Something failed for good, stopping: ${reason.message}`);
  await stack.stop();
  if (reason !== 'stop') throw new Error('The stack has failed; the reason is above.');
  report.say(`Stopped. The state is kept in ${shortPath(stack.dataDir)}; "npm start" goes on from there.`);
}

/** Stops the processes that the start waits for, which makes the start end. */
async function stopWhileStarting(starting: Promise<Stack>): Promise<void> {
  let settled = false;
  const outcome = starting.catch(() => undefined).finally(() => (settled = true));
  while (!settled) {
    await stopLeftovers();
    await Promise.race([outcome, delay(100)]);
  }
  await (await outcome)?.stop();
}

/**
 * Resolves on the first stop request: a signal, or the end of the npm that started this process, because its shell does
 * not always pass the signal on. A second signal kills everything at once, and so does the time limit.
 */
function onStopRequest(): Promise<'stop'> {
  return new Promise((resolve) => {
    let askedAt = 0;
    const stop = (): void => {
      if (askedAt > 0) return;
      askedAt = Date.now();
      setTimeout(killEverything, stopLimitMs).unref();
      resolve('stop');
    };
    for (const signal of signals) {
      process.on(signal, () => {
        if (askedAt > 0 && Date.now() - askedAt > samePressMs) killEverything();
        stop();
      });
    }
    if (inheritedEnvironment()['npm_lifecycle_event'] !== 'start') return;
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) stop();
    }, lookForParentMs).unref();
  });
}

function killEverything(): never {
  report.say('Killing everything.');
  for (const child of liveProcesses()) child.kill('SIGKILL');
  process.exit(1);
}

function welcome({ addresses, dataDir, logsDir, databasePlace }: Stack, settings: Settings): string {
  const { temporalAddress, host } = settings;
  const published = /^(127\.|::1$|localhost$)/.test(host) ? [] : publishedSecrets(settings);
  const isOpen = !settings.application.API_KEYS && !settings.application.JWT_ISSUER;
  const { apiUrl, codecUrl, webUiUrl, paymentsUrl, carrierUrl, mailsUrl, workerHealthUrl, metricsUrls } = addresses;
  const lines: [label: string, value: string | undefined][] = [
    ['API', apiUrl],
    ['Temporal Web UI', webUiUrl ?? (temporalAddress && `that of ${temporalAddress}`)],
    ['Temporal', `${addresses.temporalAddress}, namespace ${addresses.temporalNamespace}`],
    ['Temporal CLI', addresses.temporalCli],
    ['Payment gateway', paymentsUrl],
    ['Carrier', carrierUrl],
    ['Mail', mailsUrl],
    ['API reference', `${apiUrl}/docs`],
    ['Codec endpoint', codecUrl],
    ['Worker health', `${workerHealthUrl}/readyz`],
    ['Metrics', metricsUrls.join(' ')],
    ['Data', shortPath(dataDir)],
    ['PostgreSQL data', databasePlace?.startsWith(dataDir) ? undefined : databasePlace],
    ['Logs', shortPath(logsDir)],
  ];
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  const key = isOpen ? '' : ' -H "X-API-Key: $API_KEY"';
  const order = `curl -s -X POST ${apiUrl}/v1/orders${key} -H 'content-type: application/json' -d @examples/order.json`;
  return [
    '',
    'Ready: orders can be taken.',
    '',
    ...lines.filter(([, value]) => value).map(([label, value]) => `  ${label.padEnd(width)}${value}`),
    '',
    '  Place an order:',
    `  ${order}`,
    '',
    ...(codecUrl === undefined ? [] : encryptedNote({ codecUrl, webUiUrl, isOpen })),
    ...(published.length
      ? [
          `  CAREFUL: HOST=${host} opens the API to the network, and everybody knows the development values of`,
          `  ${published.join(', ')}: set them.`,
          '',
        ]
      : []),
    ...(isOpen ? ['  OPEN: without API_KEYS or JWT_ISSUER, everybody on this machine may do everything.', ''] : []),
    '  Ctrl-C stops everything; the state is kept.',
    '',
  ].join('\n');
}

function encryptedNote(where: { codecUrl: string; webUiUrl: string | undefined; isOpen: boolean }): string[] {
  const { codecUrl, webUiUrl, isOpen } = where;
  const plain = webUiUrl ? 'The Web UI asks the codec endpoint for plain text' : 'Web UIs need the codec endpoint';
  const signIn = `sign in at ${codecUrl}/session and have the Web UI's glasses use your browser's settings, that endpoint and credentials`;
  return [
    '  ENCRYPTED: payloads are encrypted in Temporal (PAYLOAD_ENCRYPTION_KEYS).',
    `  ${plain}${isOpen ? '' : `: ${signIn}`}.`,
    `  The CLI needs --codec-endpoint ${codecUrl}${isOpen ? '' : ' --codec-auth "Bearer $API_KEY"'}.`,
    '',
  ];
}

function shortPath(path: string): string {
  const short = relative(checkout, path);
  return short.startsWith('..') ? path : `./${short}`;
}

try {
  await main();
  process.exit(0);
} catch (error) {
  const expected = error instanceof Error && ['Error', 'SettingsError', 'ConfigError', 'NoWay'].includes(error.name);
  report.say(`\n${expected ? error.message : error instanceof Error ? error.stack : String(error)}`);
  await stopLeftovers();
  process.exit(1);
}
