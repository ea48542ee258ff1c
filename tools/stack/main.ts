import { relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { liveProcesses } from '../processes/processes.js';
import { formatError } from '../terminal/command-line.js';
import { createReporter } from '../terminal/reporter.js';
import { projectRoot, inheritedEnvironment } from '../settings/environment.js';
import { secretsWithPublicDefaults } from '../settings/development-environment.js';
import { readSettings, SettingsError, type Settings } from '../settings/settings.js';
import { configurationProblems } from './start/checks.js';
import { startStack } from './start/start-stack.js';
import { stopLiveProcesses } from '../processes/processes.js';
import type { Stack } from './stack.js';
import { watchStack } from './watch/watch-stack.js';

/** npm forwards Ctrl-C, so this process receives each Ctrl-C twice: from npm and from the terminal. */
const duplicateSignalMs = 1_000;
const parentCheckIntervalMs = 500;
/** Time from the stop request until all remaining processes are killed. The worker may need 30 s. */
const stopTimeoutMs = 60_000;
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const report = createReporter();
// Ignores write errors, because the reader of the output may exit before the stack has stopped.
process.stdout.on('error', () => undefined);

/** `npm run dev` restarts worker and API after a change of the sources. */
const watch = process.argv.includes('--watch');

/** `npm start` and `npm run dev`: starts the stack, prints a summary, and stops the stack on Ctrl-C. */
async function main(): Promise<void> {
  const stopRequested = waitForStopRequest();
  const { settings, problems } = readSettings();
  if (problems.length) throw new SettingsError([...problems, ...(await configurationProblems(settings))]);
  const abortStart = new AbortController();
  const starting = startStack(settings, { report, signal: abortStart.signal, watch });
  const stack = await Promise.race([starting, stopRequested]);
  if (stack === 'stop') {
    report.print('Stopping …');
    abortStart.abort();
    return stopWhileStarting(starting);
  }

  const stopWatching = watch ? await watchStack(stack, report) : undefined;
  report.print(formatSummary(stack, settings));
  const reason = await Promise.race([stack.failed, stopRequested]);
  report.print(reason === 'stop' ? 'Stopping …' : `A process failed permanently, stopping: ${reason.message}`);
  await stopWatching?.();
  await stack.stop();
  if (reason !== 'stop') throw new Error('The stack failed. The reason is printed above.');
  report.print(`Stopped. The next start continues with the data in ${relativeToProject(stack.dataDir)}.`);
}

/** Stops all processes repeatedly until the aborted start of the stack has ended. */
async function stopWhileStarting(starting: Promise<Stack>): Promise<void> {
  let settled = false;
  const outcome = starting.catch(() => undefined).finally(() => (settled = true));
  while (!settled) {
    await stopLiveProcesses();
    await Promise.race([outcome, delay(100)]);
  }
  await (await outcome)?.stop();
}

/**
 * Resolves on the first stop request: a signal, or the exit of the parent `npm`, whose shell does not always forward
 * the signal. After a second signal, or after the stop timeout, all processes are killed.
 */
function waitForStopRequest(): Promise<'stop'> {
  return new Promise((resolve) => {
    let requestedAt = 0;
    const stop = (): void => {
      if (requestedAt > 0) return;
      requestedAt = Date.now();
      setTimeout(killAllProcesses, stopTimeoutMs).unref();
      resolve('stop');
    };
    for (const signal of stopSignals) {
      process.on(signal, () => {
        if (requestedAt > 0 && Date.now() - requestedAt > duplicateSignalMs) killAllProcesses();
        stop();
      });
    }
    if (!['start', 'dev'].includes(inheritedEnvironment()['npm_lifecycle_event'] ?? '')) return;
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) stop();
    }, parentCheckIntervalMs).unref();
  });
}

function killAllProcesses(): never {
  report.print('Killing all processes.');
  for (const child of liveProcesses()) child.kill('SIGKILL');
  process.exit(1);
}

function formatSummary({ addresses, dataDir, logsDir, postgresDataDir }: Stack, settings: Settings): string {
  const { temporalAddress, host } = settings;
  const publicSecrets = /^(127\.|::1$|localhost$)/.test(host) ? [] : secretsWithPublicDefaults(settings);
  const isOpen = !settings.applicationEnv.API_KEYS && !settings.applicationEnv.JWT_ISSUER;
  const { apiUrl, codecUrl, webUiUrl, breakItUrl, paymentsUrl, carrierUrl, mailboxUrl, slackUrl } = addresses;
  const { workerHealthUrl, metricsUrls } = addresses;
  const lines: [label: string, value: string | undefined][] = [
    ['Console', apiUrl],
    ['Break it', breakItUrl],
    ['Temporal Web UI', webUiUrl ?? (temporalAddress && `see the Temporal service at ${temporalAddress}`)],
    ['API', apiUrl],
    ['Temporal', `${addresses.temporalAddress}, namespace ${addresses.temporalNamespace}`],
    ['Temporal CLI', addresses.temporalCliPath],
    ['Payment gateway', paymentsUrl],
    ['Carrier', carrierUrl],
    ['Mail', mailboxUrl],
    ['Slack', slackUrl],
    ['API reference', `${apiUrl}/docs`],
    ['Codec endpoint', codecUrl],
    ['Worker health', `${workerHealthUrl}/readyz`],
    ['Metrics', metricsUrls.join(' ')],
    ['Data', relativeToProject(dataDir)],
    ['PostgreSQL data', postgresDataDir?.startsWith(dataDir) ? undefined : postgresDataDir],
    ['Logs', relativeToProject(logsDir)],
  ];
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  const key = isOpen ? '' : ' -H "X-API-Key: $API_KEY"';
  const order = `curl -s -X POST ${apiUrl}/v1/orders${key} -H 'content-type: application/json' -d @examples/order.json`;
  return [
    '',
    'Ready: the API accepts orders.',
    '',
    ...lines.filter(([, value]) => value).map(([label, value]) => `  ${label.padEnd(width)}${value}`),
    '',
    '  Place an order:',
    `  ${order}`,
    '',
    ...(codecUrl === undefined ? [] : formatEncryptionNotice({ codecUrl, webUiUrl, isOpen })),
    ...(publicSecrets.length
      ? [
          `  WARNING: HOST=${host} opens the API to the network, and these secrets still have public default values:`,
          `  ${publicSecrets.join(', ')}. Set them.`,
          '',
        ]
      : []),
    ...(isOpen ? ['  OPEN: without API_KEYS or JWT_ISSUER, everybody on this machine has all roles.', ''] : []),
    '  Ctrl-C stops everything; the state is kept.',
    '',
  ].join('\n');
}

function formatEncryptionNotice(where: { codecUrl: string; webUiUrl: string | undefined; isOpen: boolean }): string[] {
  const { codecUrl, webUiUrl, isOpen } = where;
  const plain = webUiUrl ? 'The Web UI gets plain text from the codec endpoint' : 'Web UIs need the codec endpoint';
  const signIn = `sign in at ${codecUrl}/session, then set this endpoint with credentials in the Web UI (glasses icon, browser settings)`;
  return [
    '  ENCRYPTED: payloads are encrypted in Temporal (PAYLOAD_ENCRYPTION_KEYS).',
    `  ${plain}${isOpen ? '' : `: ${signIn}`}.`,
    `  The CLI needs --codec-endpoint ${codecUrl}${isOpen ? '' : ' --codec-auth "Bearer $API_KEY"'}.`,
    '',
  ];
}

function relativeToProject(path: string): string {
  const short = relative(projectRoot, path);
  return short.startsWith('..') ? path : `./${short}`;
}

try {
  await main();
  process.exit(0);
} catch (error) {
  report.print(`\n${formatError(error)}`);
  await stopLiveProcesses();
  process.exit(1);
}
