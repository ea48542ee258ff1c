import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Report } from '../report.js';
import { loadSettings } from '../settings.js';
import { audit, type Audit, type Violation } from './audit/index.js';
import type { ServerKind } from './command-line.js';
import { startCrowd, stockTheShop, type Crowd, type Pace } from './crowd/index.js';
import { inflict, told } from './inflict.js';
import { unansweredIn, type Ledger } from './ledger.js';
import { planFaults, ROUND_LENGTH, type Fault, type PlannedFault } from './plan.js';
import { Random } from './random.js';
import { openFragileShop, type FragileShop } from './shop.js';

/** After every fault an order has to be completed within this time. */
const RECOVERY_DEADLINE_MS = 90_000;
/** What clients asked for has to be answered within the one time, what was promised come to its end within the other. */
const ANSWERS_DEADLINE_MS = 120_000;
const AUDIT_DEADLINE_MS = 300_000;

/** A run shorter than a minute is one of many tests on its machine: so many customers are enough to see what is lost. */
const FEW: Partial<Pace> = { customers: 4, batchLines: 1_000 };

export interface RunOptions {
  seed: number;
  /** No fault begins later, once a round of them was played. */
  seconds: number;
  server: ServerKind;
  report: Report;
  signal?: AbortSignal;
  /** Other faults than the seed's. */
  plan?: PlannedFault[];
  workflowBundle?: string;
  /** What clients asked for has to be answered within this time; two minutes unless told. */
  answersDeadlineMs?: number;
  /** Takes the logs of a run that did not hold; a folder of DATA_DIR unless told. */
  keepIn?: string;
}

/** A fault that was survived. */
export interface Recovery {
  fault: Fault;
  /** From the moment of a death or a cut, or the end of what lasted, to the completion of an order placed after it. */
  ms: number;
}

/** What a run came to. */
export interface Outcome {
  server: ServerKind;
  seed: number;
  /** From the first client to the last fault's recovery. */
  seconds: number;
  /** How long an order takes when nothing is wrong, as the crowd sees it. */
  undisturbedMs: number | undefined;
  recoveries: Recovery[];
  ledger: Ledger;
  audit: Audit;
  /** Those of the audit, requests that were never answered, and faults that the shop did not recover from. */
  violations: Violation[];
  /** Where logs, plan, ledger and histories are when there are any. */
  keptIn: string | undefined;
}

/**
 * Opens a shop, lets a crowd in, makes things go wrong, and audits what is left. Nothing of it stays but, when something
 * was lost or doubled, what is needed to find out why.
 *
 * @throws when it cannot be told: the shop does not open, the crowd stumbles, or the run is interrupted.
 */
export async function runUnderFire(options: RunOptions): Promise<Outcome> {
  const { seed, seconds, server, report, signal, workflowBundle, answersDeadlineMs = ANSWERS_DEADLINE_MS } = options;
  const pace = seconds < 60 ? FEW : {};
  let isOpen = false;
  // What its processes say under fire is in their logs.
  const untilOpen: Report = { ...report, say: (text) => (isOpen ? undefined : report.say(text)) };
  const shop = await openFragileShop({
    ...{ server, report: untilOpen },
    ...(signal && { signal }),
    ...(workflowBundle !== undefined && { workflowBundle }),
  });
  try {
    isOpen = true;
    const { addresses, links, client, store } = shop;
    report.say(
      `The shop is open: API ${addresses.apiUrl}, Temporal ${addresses.temporalAddress}, namespace ${addresses.temporalNamespace}`,
    );
    await stockTheShop(store);
    const crowd = startCrowd({ addresses, tools: { client, store }, random: new Random(seed).branch('crowd'), pace });
    const startedAt = performance.now();
    const plan = options.plan ?? planFaults({ seed, seconds, links: links.names });
    const story = await whileItLasts(shop, crowd, plan, { seconds, report, ...(signal && { signal }) });
    const lasted = (performance.now() - startedAt) / 1000;

    const ledger = await report.during('Waiting for the last answers', () => crowd.stop(answersDeadlineMs));
    signal?.throwIfAborted();
    const found = await report.during('Auditing', () =>
      audit(
        ledger,
        { addresses, client, store, code: { workflowBundle: shop.workflowBundle } },
        { deadlineMs: AUDIT_DEADLINE_MS },
      ),
    );
    signal?.throwIfAborted();
    const violations = [...story.violations, ...unansweredIn(ledger), ...found.violations];
    const outcome = { server, seed, seconds: lasted, ...story, ledger, audit: found, violations };
    if (violations.length === 0) return { ...outcome, keptIn: undefined };
    const keptIn = options.keepIn ?? join(loadSettings().dataDir, 'faults', `seed-${seed}-${server}`);
    await keep(keptIn, shop, { ...outcome, plan });
    return { ...outcome, keptIn };
  } finally {
    await shop.stop();
  }
}

type Story = Pick<Outcome, 'undisturbedMs' | 'recoveries' | 'violations'>;

/** Plays the plan, until time is up or the shop does not recover. */
async function whileItLasts(
  shop: FragileShop,
  crowd: Crowd,
  plan: readonly PlannedFault[],
  { seconds, report, signal }: Pick<RunOptions, 'seconds' | 'report' | 'signal'>,
): Promise<Story> {
  const story: Story = { undisturbedMs: undefined, recoveries: [], violations: [] };
  const startedAt = performance.now();
  const clock = () => `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s`;
  const giveUp = Promise.race([failureOf(shop), interruption(signal)]);
  giveUp.catch(() => undefined);
  const recovered = (): Promise<number> => Promise.race([crowd.completesAnOrder(RECOVERY_DEADLINE_MS), giveUp]);
  const isOver = () => performance.now() - startedAt >= seconds * 1000 && story.recoveries.length >= ROUND_LENGTH;

  let what = 'its opening';
  try {
    // The first order finds everything cold.
    const warmAt = await recovered();
    story.undisturbedMs = (await recovered()) - warmAt;
    for (const { afterMs, fault } of plan) {
      await delay(afterMs, undefined, { signal });
      if (isOver()) break;
      what = told(fault);
      report.say(`${clock()}  ${what}`);
      const since = await inflict(fault, shop, signal);
      const ms = (await recovered()) - since;
      report.say(`${clock()}      recovered after ${(ms / 1000).toFixed(2)} s`);
      story.recoveries.push({ fault, ms });
    }
  } catch (error) {
    signal?.throwIfAborted();
    story.violations.push({ workflowId: '(the shop)', what: `after ${what}: ${(error as Error).message}` });
  }
  return story;
}

async function failureOf({ failed }: FragileShop): Promise<never> {
  throw await failed;
}

async function interruption(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** All that is needed to find out why. */
async function keep(
  folder: string,
  { client, keepLogs }: FragileShop,
  {
    ledger,
    audit: found,
    violations,
    plan,
  }: Pick<Outcome, 'ledger' | 'audit' | 'violations'> & { plan: PlannedFault[] },
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'histories'), { recursive: true });
  const json = { plan, ledger, audit: found, violations };
  for (const [name, value] of Object.entries(json))
    await writeFile(join(folder, `${name}.json`), JSON.stringify(value, null, 2));
  await keepLogs(join(folder, 'logs'));
  for (const workflowId of new Set(violations.map(({ workflowId }) => workflowId))) {
    // Not every one is the name of a workflow that is there.
    const history = await client.workflow
      .getHandle(workflowId)
      .fetchHistory()
      .catch(() => undefined);
    const file = `${workflowId.replaceAll(/[^\w.-]+/g, '-')}.json`;
    if (history) await writeFile(join(folder, 'histories', file), historyToJSON(history));
  }
}
