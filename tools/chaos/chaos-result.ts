import type { AuditResult, Violation } from './audit/findings.js';
import type { ClientLog } from './client-log.js';
import type { ServerKind } from './command-line.js';
import type { Fault } from './faults/plan.js';

/** A fault, and how long the shop took to recover from it. */
export interface Recovery {
  fault: Fault;
  /**
   * The time until an order that was placed after the fault has completed. It starts at the kill or reset, or at the
   * end of a lasting fault.
   */
  recoveryMs: number;
}

/** The outcome of a run. */
export interface ChaosResult {
  server: ServerKind;
  seed: number;
  /** The time from the start of the clients until the recovery from the last fault. */
  seconds: number;
  /** How long an order takes without a fault, as a client measures it. */
  baselineMs: number | undefined;
  recoveries: Recovery[];
  /** The number of runs of the schedules. */
  housekeepingRuns: number;
  log: ClientLog;
  audit: AuditResult;
  /**
   * The violations that the audit found, the requests that never got a response, and the faults from which the shop did
   * not recover.
   */
  violations: Violation[];
  /** The folder with logs, plan, client log and histories. Undefined when there are no violations. */
  artifactsDir: string | undefined;
}
