import { join } from 'node:path';
import type { Reporter } from '../terminal/reporter.js';
import { loadSettings } from '../settings/settings.js';
import { audit } from './audit/audit.js';
import { saveArtifacts } from './artifacts.js';
import { unresolvedRequests } from './client-log.js';
import { startLoadGenerator, type LoadProfile } from './clients/load-generator.js';
import { addLoadProducts } from './clients/products.js';
import type { ChaosResult } from './chaos-result.js';
import { checkHousekeeping, triggerHousekeeping } from './housekeeping.js';
import type { ServerKind } from './command-line.js';
import { injectPlannedFaults } from './faults/injection.js';
import { planFaults, type PlannedFault } from './faults/plan.js';
import { SeededRandom } from './random.js';
import { startShopUnderTest, type ShopUnderTest } from './shop-under-test.js';

/** How long to wait for the last responses after the faults. */
const RESPONSE_DEADLINE_MS = 120_000;
/** How long to wait until all accepted work has ended. */
const AUDIT_DEADLINE_MS = 300_000;

/**
 * The load of a run shorter than a minute. Such a run is part of the test suite and shares its machine with other
 * tests. A small load is enough to detect lost work.
 */
const LIGHT_LOAD: Partial<LoadProfile> = { clients: 4, linesPerBatch: 1_000 };

export interface ChaosOptions {
  seed: number;
  /** No fault starts later than this, but at least one whole round of faults runs. */
  seconds: number;
  server: ServerKind;
  report: Reporter;
  signal?: AbortSignal;
  /** The faults to inject. Default: the faults that the seed determines. */
  plan?: PlannedFault[];
  workflowBundle?: string;
  /** How long to wait for the last responses after the faults. Default: two minutes. */
  responseDeadlineMs?: number;
  /** The folder for the artifacts of a run with violations. Default: a folder in DATA_DIR. */
  artifactsDir?: string;
}

/**
 * Runs a shop under load, injects faults, and audits the result. Afterwards deletes everything except the artifacts of
 * a run with violations.
 *
 * @throws when there is no result: the shop does not start, the load generator fails, or the run is interrupted.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, seconds, server, report, signal, responseDeadlineMs = RESPONSE_DEADLINE_MS } = options;
  const shop = await startQuietShop(options);
  try {
    const { addresses, links, client, store } = shop;
    report.print(
      `The shop is ready: API ${addresses.apiUrl}, Temporal ${addresses.temporalAddress}, namespace ${addresses.temporalNamespace}`,
    );
    await addLoadProducts(store);
    const loadGenerator = startLoadGenerator({
      addresses,
      directAccess: { client, store },
      random: new SeededRandom(seed).fork('clients'),
      profile: seconds < 60 ? LIGHT_LOAD : {},
    });
    const housekeeping = triggerHousekeeping(client);
    const startedAt = performance.now();
    const plan = options.plan ?? planFaults({ seed, seconds, links: links.names });
    const injection = await injectPlannedFaults({ shop, loadGenerator, plan, seconds, report, signal });
    const actualSeconds = (performance.now() - startedAt) / 1000;

    const log = await report.withProgress('Waiting for the last responses', () =>
      loadGenerator.stop(responseDeadlineMs),
    );
    const housekeepingRuns = await housekeeping.stop();
    signal?.throwIfAborted();
    const auditResult = await report.withProgress('Auditing', () =>
      audit(
        log,
        { addresses, client, store, workflowCode: { workflowBundle: shop.workflowBundle } },
        { deadlineMs: AUDIT_DEADLINE_MS },
      ),
    );
    signal?.throwIfAborted();
    const violations = [
      ...injection.violations,
      ...unresolvedRequests(log),
      ...auditResult.violations,
      ...(await checkHousekeeping(client)),
    ];
    const counted = { seconds: actualSeconds, housekeepingRuns };
    const result = { server, seed, ...counted, ...injection, log, audit: auditResult, violations };
    if (violations.length === 0) return { ...result, artifactsDir: undefined };
    const artifactsDir = options.artifactsDir ?? join(loadSettings().dataDir, 'chaos', `seed-${seed}-${server}`);
    await saveArtifacts(artifactsDir, shop, { ...result, plan });
    return { ...result, artifactsDir };
  } finally {
    await shop.stop();
  }
}

/** Starts the shop. After the start, its processes write only to their log files. */
async function startQuietShop({ server, report, signal, workflowBundle }: ChaosOptions): Promise<ShopUnderTest> {
  let isReady = false;
  const shop = await startShopUnderTest({
    server,
    report: { ...report, print: (text) => (isReady ? undefined : report.print(text)) },
    ...(signal && { signal }),
    ...(workflowBundle !== undefined && { workflowBundle }),
  });
  isReady = true;
  return shop;
}
