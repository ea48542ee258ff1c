import { z } from 'zod';

/** The workflow takes no input, so that an option that does not exist is an error. */
export const auditInput = z.undefined();

/** An order that only a person can correct, and why. */
export interface AuditFinding {
  orderId: string;
  problem: string;
}

export interface AuditResult {
  /** The number of charges of the payment gateway that were compared with the database. */
  chargeCount: number;
  /** The number of open workflows that were compared with the database. */
  workflowCount: number;
  findings: AuditFinding[];
  /** False if the run reached a limit, so that some charges, events, workflows or listed orders were not compared. */
  isComplete: boolean;
}
