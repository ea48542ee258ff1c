import { setTimeout as delay } from 'node:timers/promises';
import type { Reporter } from '../../terminal/reporter.js';
import type { ChaosResult } from '../chaos-result.js';
import type { LoadGenerator } from '../clients/load-generator.js';
import type { ShopUnderTest } from '../shop-under-test.js';
import { describeFault, injectFault } from './inject.js';
import { FAULTS_PER_ROUND, type PlannedFault } from './plan.js';

/** The shop has not recovered when no order completes within this time after a fault. */
const RECOVERY_DEADLINE_MS = 90_000;

type InjectionResult = Pick<ChaosResult, 'baselineMs' | 'recoveries' | 'violations'>;

interface InjectionOptions {
  shop: ShopUnderTest;
  loadGenerator: LoadGenerator;
  plan: readonly PlannedFault[];
  /** No fault starts later than this, but at least one whole round of faults runs. */
  seconds: number;
  report: Reporter;
  signal: AbortSignal | undefined;
}

/** Injects the planned faults. Stops after `seconds`, or when the shop does not recover. */
export async function injectPlannedFaults(options: InjectionOptions): Promise<InjectionResult> {
  const { shop, loadGenerator, plan, seconds, report, signal } = options;
  const result: InjectionResult = { baselineMs: undefined, recoveries: [], violations: [] };
  const startedAt = performance.now();
  const elapsed = () => `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s`;
  const failed = Promise.race([rejectOnFailure(shop), rejectOnAbort(signal)]);
  failed.catch(() => undefined);
  const waitForRecovery = (): Promise<number> =>
    Promise.race([loadGenerator.waitForCompletedOrder(RECOVERY_DEADLINE_MS), failed]);
  const isOver = () => performance.now() - startedAt >= seconds * 1000 && result.recoveries.length >= FAULTS_PER_ROUND;

  let lastEvent = 'its start';
  try {
    // The first order runs with cold caches, so only the second order is the baseline.
    const warmAt = await waitForRecovery();
    result.baselineMs = (await waitForRecovery()) - warmAt;
    for (const { afterMs, fault } of plan) {
      await delay(afterMs, undefined, { signal });
      if (isOver()) break;
      lastEvent = describeFault(fault);
      report.print(`${elapsed()}  ${lastEvent}`);
      const since = await injectFault(fault, shop, signal);
      const recoveryMs = (await waitForRecovery()) - since;
      report.print(`${elapsed()}      recovered after ${(recoveryMs / 1000).toFixed(2)} s`);
      result.recoveries.push({ fault, recoveryMs });
    }
  } catch (error) {
    signal?.throwIfAborted();
    result.violations.push({ workflowId: '(the shop)', message: `after ${lastEvent}: ${(error as Error).message}` });
  }
  return result;
}

async function rejectOnFailure({ failure }: ShopUnderTest): Promise<never> {
  throw await failure;
}

async function rejectOnAbort(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
