import { streamReport } from '../terminal/report.js';
import { findRunningStack } from '../stack/running-stack.js';
import { startTemporaryStack, stopLeftovers, type Stack } from '../stack/stack.js';
import { approvalScenes } from './approvals.js';
import { batchScenes } from './batches.js';
import { Guide, Surprise, type Places } from './guide.js';
import { cartScenes } from './carts.js';
import { orderScenes } from './orders.js';

/**
 * `npm run tour`: demonstrates the shop as a client of the HTTP API, against the running stack or else a temporary one.
 * Exits with code 1 when an outcome is not the expected one.
 */
const report = streamReport();
const scenes = [...orderScenes, ...cartScenes, ...approvalScenes, ...batchScenes];

let stack: Stack | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => void (stack ? stack.stop() : stopLeftovers()).finally(() => process.exit(1)));
}

const surprises: string[] = [];
try {
  const guide = new Guide((await runningStack()) ?? (await ownStack()));
  await guide.arrive();
  for (const [index, { title, play }] of scenes.entries()) {
    guide.say(`\n${index + 1}. ${title}`);
    try {
      await play(guide);
    } catch (error) {
      surprises.push(title);
      guide.say(`  NOT AS EXPECTED: ${(error as Error).message}`);
    }
  }
  guide.say(
    surprises.length
      ? `\n${surprises.length} of ${scenes.length} scenes did not go as expected: ${surprises.join('; ')}`
      : `\nAll ${scenes.length} scenes went as expected.`,
  );
} catch (error) {
  if (!(error instanceof Surprise)) throw error;
  surprises.push(error.message);
  report.say(`Not welcome: ${error.message}`);
} finally {
  await stack?.stop();
}
process.exit(surprises.length ? 1 : 0);

/** The stack of `npm start`, if it runs. */
async function runningStack(): Promise<Places | undefined> {
  const known = await findRunningStack();
  if (!known) return undefined;
  report.say(`Visiting the stack at ${known.apiUrl}.`);
  return { ...known, apiUrls: [known.apiUrl], namespace: known.temporalNamespace, say: report.say };
}

async function ownStack(): Promise<Places> {
  report.say('No stack is running ("npm start"), so the tour starts one of its own; it is gone when the tour ends.');
  stack = await startTemporaryStack({}, { report, webUi: true });
  const { apiUrls, webUiUrl, mailsUrl, temporalNamespace } = stack.addresses;
  return { apiUrls, webUiUrl, mailsUrl, namespace: temporalNamespace, say: report.say };
}
