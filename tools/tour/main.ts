import { createReporter } from '../terminal/reporter.js';
import { findRunningStack } from '../stack/running-stack.js';
import { startTemporaryStack } from '../stack/temporary-stack.js';
import { stopLiveProcesses } from '../processes/processes.js';
import type { Stack } from '../stack/stack.js';
import { approvalScenarios } from './approvals.js';
import { batchScenarios } from './batches.js';
import { TourClient, UnexpectedOutcomeError, type TourAddresses } from './tour-client.js';
import { cartScenarios } from './carts.js';
import { orderScenarios } from './orders.js';

/**
 * `npm run tour`: demonstrates the shop as a client of the HTTP API. Uses the running stack, or starts a temporary one.
 * Exits with code 1 when an outcome differs from the expected one.
 */
const report = createReporter();
const scenarios = [...orderScenarios, ...cartScenarios, ...approvalScenarios, ...batchScenarios];

let stack: Stack | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => void (stack ? stack.stop() : stopLiveProcesses()).finally(() => process.exit(1)));
}

const failedScenarios: string[] = [];
try {
  const client = new TourClient((await findTourStack()) ?? (await startTourStack()));
  await client.checkAccess();
  for (const [index, { title, run }] of scenarios.entries()) {
    client.print(`\n${index + 1}. ${title}`);
    try {
      await run(client);
    } catch (error) {
      failedScenarios.push(title);
      client.print(`  UNEXPECTED: ${(error as Error).message}`);
    }
  }
  client.print(
    failedScenarios.length
      ? `\n${failedScenarios.length} of ${scenarios.length} scenarios had an unexpected outcome: ${failedScenarios.join('; ')}`
      : `\nAll ${scenarios.length} scenarios had the expected outcome.`,
  );
} catch (error) {
  if (!(error instanceof UnexpectedOutcomeError)) throw error;
  failedScenarios.push(error.message);
  report.print(`Access denied: ${error.message}`);
} finally {
  await stack?.stop();
}
process.exit(failedScenarios.length ? 1 : 0);

/** Finds the stack of `npm start`, if it is running. */
async function findTourStack(): Promise<TourAddresses | undefined> {
  const known = await findRunningStack();
  if (!known) return undefined;
  report.print(`Using the stack at ${known.apiUrl}.`);
  return { ...known, apiUrls: [known.apiUrl], namespace: known.temporalNamespace, print: report.print };
}

async function startTourStack(): Promise<TourAddresses> {
  report.print('No stack is running ("npm start"), so the tour starts a temporary one.');
  stack = await startTemporaryStack({}, { report, webUi: true });
  const { apiUrls, webUiUrl, mailboxUrl, temporalNamespace } = stack.addresses;
  return { apiUrls, webUiUrl, mailboxUrl, namespace: temporalNamespace, print: report.print };
}
