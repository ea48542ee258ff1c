import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Reporter } from '../terminal/reporter.js';
import { loadSettings } from '../stack/settings/settings.js';
import { audit, type AuditResult, type Violation } from './audit/audit.js';
import type { ServerKind } from './command-line.js';
import { startLoadGenerator, addLoadProducts, type LoadGenerator, type LoadProfile } from './clients/load-generator.js';
import { injectFault, describeFault } from './faults/inject.js';
import { unresolvedRequests, type ClientLog } from './client-log.js';
import { planFaults, FAULTS_PER_CYCLE, type Fault, type PlannedFault } from './faults/plan.js';
import { SeededRandom } from './random.js';
import { startShopUnderTest, type ShopUnderTest } from './shop-under-test.js';

/** After every fault, an order must be completed within this time. */
const RECOVERY_DEADLINE_MS = 90_000;
/** The time limit for responses to the clients' requests, and the time limit until everything promised has ended. */
const RESPONSE_DEADLINE_MS = 120_000;
const AUDIT_DEADLINE_MS = 300_000;

/**
 * The load of a run shorter than a minute, which is one of many tests on its machine: a small load is enough to detect
 * lost work.
 */
const LIGHT_LOAD: Partial<LoadProfile> = { clients: 4, linesPerBatch: 1_000 };

export interface ChaosOptions {
  seed: number;
  /** No fault begins later than this, but one whole round always runs. */
  seconds: number;
  server: ServerKind;
  report: Reporter;
  signal?: AbortSignal;
  /** Replaces the faults that follow from the seed. */
  plan?: PlannedFault[];
  workflowBundle?: string;
  /** The time limit for responses to the clients' requests. Default: two minutes. */
  responseDeadlineMs?: number;
  /** The folder for the logs of a run with violations. Default: a folder in DATA_DIR. */
  artifactsDir?: string;
}

/** A fault from which the shop recovered. */
export interface Recovery {
  fault: Fault;
  /** From the kill or cut, or the end of a lasting fault, until an order that was placed afterwards is completed. */
  recoveryMs: number;
}

/** The outcome of a run. */
export interface ChaosResult {
  server: ServerKind;
  seed: number;
  /** From the first client until the recovery from the last fault. */
  seconds: number;
  /** How long an order takes without a fault, as clients measure it. */
  baselineMs: number | undefined;
  recoveries: Recovery[];
  ledger: ClientLog;
  audit: AuditResult;
  /** The audit's violations, requests that never got a response, and faults from which the shop did not recover. */
  violations: Violation[];
  /** The folder with logs, plan, ledger and histories, when there are violations. */
  artifactsDir: string | undefined;
}

/**
 * Runs a shop under load, injects faults, and audits the result. Deletes everything afterwards, except the data that is
 * needed to investigate violations.
 *
 * @throws when there is no result: the shop does not start, the load generator fails, or the run is interrupted.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, seconds, server, report, signal, workflowBundle, responseDeadlineMs = RESPONSE_DEADLINE_MS } = options;
  const pace = seconds < 60 ? LIGHT_LOAD : {};
  let isOpen = false;
  // The output of the shop's processes during faults is only in their logs.
  const untilOpen: Reporter = { ...report, print: (text) => (isOpen ? undefined : report.print(text)) };
  const shop = await startShopUnderTest({
    server,
    report: untilOpen,
    ...(signal && { signal }),
    ...(workflowBundle !== undefined && { workflowBundle }),
  });
  try {
    isOpen = true;
    const { addresses, links, client, store } = shop;
    report.print(
      `The shop is open: API ${addresses.apiUrl}, Temporal ${addresses.temporalAddress}, namespace ${addresses.temporalNamespace}`,
    );
    await addLoadProducts(store);
    const crowd = startLoadGenerator({
      addresses,
      directAccess: { client, store },
      random: new SeededRandom(seed).fork('clients'),
      profile: pace,
    });
    const startedAt = performance.now();
    const plan = options.plan ?? planFaults({ seed, seconds, links: links.names });
    const story = await injectPlannedFaults(shop, crowd, plan, { seconds, report, ...(signal && { signal }) });
    const lasted = (performance.now() - startedAt) / 1000;

    const ledger = await report.withProgress('Waiting for the last answers', () => crowd.stop(responseDeadlineMs));
    signal?.throwIfAborted();
    const found = await report.withProgress('Auditing', () =>
      audit(
        ledger,
        { addresses, client, store, workflowCode: { workflowBundle: shop.workflowBundle } },
        { deadlineMs: AUDIT_DEADLINE_MS },
      ),
    );
    signal?.throwIfAborted();
    const violations = [...story.violations, ...unresolvedRequests(ledger), ...found.violations];
    const outcome = { server, seed, seconds: lasted, ...story, ledger, audit: found, violations };
    if (violations.length === 0) return { ...outcome, artifactsDir: undefined };
    const keptIn = options.artifactsDir ?? join(loadSettings().dataDir, 'chaos', `seed-${seed}-${server}`);
    await saveArtifacts(keptIn, shop, { ...outcome, plan });
    return { ...outcome, artifactsDir: keptIn };
  } finally {
    await shop.stop();
  }
}

type InjectionResult = Pick<ChaosResult, 'baselineMs' | 'recoveries' | 'violations'>;

/** Injects the planned faults until time is up or the shop does not recover. */
async function injectPlannedFaults(
  shop: ShopUnderTest,
  crowd: LoadGenerator,
  plan: readonly PlannedFault[],
  { seconds, report, signal }: Pick<ChaosOptions, 'seconds' | 'report' | 'signal'>,
): Promise<InjectionResult> {
  const story: InjectionResult = { baselineMs: undefined, recoveries: [], violations: [] };
  const startedAt = performance.now();
  const clock = () => `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s`;
  const giveUp = Promise.race([rejectOnFailure(shop), rejectOnAbort(signal)]);
  giveUp.catch(() => undefined);
  const recovered = (): Promise<number> => Promise.race([crowd.waitForCompletedOrder(RECOVERY_DEADLINE_MS), giveUp]);
  const isOver = () => performance.now() - startedAt >= seconds * 1000 && story.recoveries.length >= FAULTS_PER_CYCLE;

  let what = 'its opening';
  try {
    // The first order finds cold caches, so the second one is measured.
    const warmAt = await recovered();
    story.baselineMs = (await recovered()) - warmAt;
    for (const { afterMs, fault } of plan) {
      await delay(afterMs, undefined, { signal });
      if (isOver()) break;
      what = describeFault(fault);
      report.print(`${clock()}  ${what}`);
      const since = await injectFault(fault, shop, signal);
      const ms = (await recovered()) - since;
      report.print(`${clock()}      recovered after ${(ms / 1000).toFixed(2)} s`);
      story.recoveries.push({ fault, recoveryMs: ms });
    }
  } catch (error) {
    signal?.throwIfAborted();
    story.violations.push({ workflowId: '(the shop)', message: `after ${what}: ${(error as Error).message}` });
  }
  return story;
}

async function rejectOnFailure({ failure }: ShopUnderTest): Promise<never> {
  throw await failure;
}

async function rejectOnAbort(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** Saves everything that is needed to investigate the violations. */
async function saveArtifacts(
  folder: string,
  { client, copyLogs }: ShopUnderTest,
  {
    ledger,
    audit: found,
    violations,
    plan,
  }: Pick<ChaosResult, 'ledger' | 'audit' | 'violations'> & { plan: PlannedFault[] },
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'histories'), { recursive: true });
  const json = { plan, 'client-log': ledger, audit: found, violations };
  for (const [name, value] of Object.entries(json))
    await writeFile(join(folder, `${name}.json`), JSON.stringify(value, null, 2));
  await copyLogs(join(folder, 'logs'));
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
