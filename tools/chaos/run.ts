import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Report } from '../terminal/report.js';
import { loadSettings } from '../stack/settings.js';
import { audit, type Audit, type Violation } from './audit/index.js';
import type { ServerKind } from './command-line.js';
import { startCrowd, stockTheShop, type Crowd, type Pace } from './clients/index.js';
import { inflict, told } from './inflict.js';
import { unansweredIn, type Ledger } from './ledger.js';
import { planFaults, ROUND_LENGTH, type Fault, type PlannedFault } from './plan.js';
import { Random } from './random.js';
import { openFragileShop, type FragileShop } from './shop.js';

/** After every fault, an order must be completed within this time. */
const RECOVERY_DEADLINE_MS = 90_000;
/** The time limit for responses to the clients' requests, and the time limit until everything promised has ended. */
const ANSWERS_DEADLINE_MS = 120_000;
const AUDIT_DEADLINE_MS = 300_000;

/**
 * The load of a run shorter than a minute, which is one of many tests on its machine: a small load is enough to detect
 * lost work.
 */
const FEW: Partial<Pace> = { customers: 4, batchLines: 1_000 };

export interface RunOptions {
  seed: number;
  /** No fault begins later than this, but one whole round always runs. */
  seconds: number;
  server: ServerKind;
  report: Report;
  signal?: AbortSignal;
  /** Replaces the faults that follow from the seed. */
  plan?: PlannedFault[];
  workflowBundle?: string;
  /** The time limit for responses to the clients' requests. Default: two minutes. */
  answersDeadlineMs?: number;
  /** The folder for the logs of a run with violations. Default: a folder in DATA_DIR. */
  keepIn?: string;
}

/** A fault from which the shop recovered. */
export interface Recovery {
  fault: Fault;
  /** From the kill or cut, or the end of a lasting fault, until an order that was placed afterwards is completed. */
  ms: number;
}

/** The outcome of a run. */
export interface Outcome {
  server: ServerKind;
  seed: number;
  /** From the first client until the recovery from the last fault. */
  seconds: number;
  /** How long an order takes without a fault, as clients measure it. */
  undisturbedMs: number | undefined;
  recoveries: Recovery[];
  ledger: Ledger;
  audit: Audit;
  /** The audit's violations, requests that never got a response, and faults from which the shop did not recover. */
  violations: Violation[];
  /** The folder with logs, plan, ledger and histories, when there are violations. */
  keptIn: string | undefined;
}

/**
 * Runs a shop under load, injects faults, and audits the result. Deletes everything afterwards, except the data that is
 * needed to investigate violations.
 *
 * @throws when there is no result: the shop does not start, the load generator fails, or the run is interrupted.
 */
export async function runUnderFire(options: RunOptions): Promise<Outcome> {
  const { seed, seconds, server, report, signal, workflowBundle, answersDeadlineMs = ANSWERS_DEADLINE_MS } = options;
  const pace = seconds < 60 ? FEW : {};
  let isOpen = false;
  // The output of the shop's processes during faults is only in their logs.
  const untilOpen: Report = { ...report, say: (text) => (isOpen ? undefined : report.say(text)) };
  const shop = await openFragileShop({
    server,
    report: untilOpen,
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

/** Injects the planned faults until time is up or the shop does not recover. */
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
    // The first order finds cold caches, so the second one is measured.
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

/** Saves everything that is needed to investigate the violations. */
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
    // Not every violation names an existing workflow.
    const history = await client.workflow
      .getHandle(workflowId)
      .fetchHistory()
      .catch(() => undefined);
    const file = `${workflowId.replaceAll(/[^\w.-]+/g, '-')}.json`;
    if (history) await writeFile(join(folder, 'histories', file), historyToJSON(history));
  }
}
