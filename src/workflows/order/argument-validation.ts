import type { CompensationDecision, DeliveryDecision, ShipmentReport } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { fieldsOf } from '../shared/arguments.js';

// These checks validate the raw arguments of signals and updates. They repeat rules of `schemas/order.ts`, because its
// zod schemas cannot run in a workflow.

const REPORTED_STATUSES: readonly unknown[] = [
  'accepted',
  'in_transit',
  'delivered',
  'lost',
  'cancelled',
] satisfies ShipmentReport['status'][];
const COMPENSATION_ACTIONS: readonly unknown[] = ['retry', 'skip'] satisfies CompensationDecision['action'][];
const DELIVERY_ACTIONS: readonly unknown[] = ['wait', 'write_off', 'delivered'] satisfies DeliveryDecision['action'][];

/** A decision can extend the time limit of a delivery by at most one year. */
const MAX_EXTENSION_SECONDS = 31_536_000;

/** Whether the argument of a signal is a report about this order. */
export function isShipmentReport(value: unknown, orderId: string): value is ShipmentReport {
  const report = fieldsOf(value);
  return (
    report.orderId === orderId && typeof report.shipmentId === 'string' && REPORTED_STATUSES.includes(report.status)
  );
}

/** Validates a raw decision about a compensation. @returns the problem, or undefined when the decision is valid. */
export function validateCompensationDecision(value: unknown): Reason | undefined {
  const { compensation, attempt, action } = fieldsOf(value);
  if (typeof compensation === 'string' && Number.isInteger(attempt) && COMPENSATION_ACTIONS.includes(action)) {
    return undefined;
  }
  const message = 'the argument must be {"compensation": string, "attempt": integer, "action": "retry" | "skip"}';
  return { type: 'InvalidInput', message };
}

/** Validates a raw decision about a delivery. @returns the problem, or undefined when the decision is valid. */
export function validateDeliveryDecision(value: unknown): Reason | undefined {
  const { attempt, action, extendBySeconds } = fieldsOf(value);
  const isExtension = extendBySeconds === undefined || isExtensionSeconds(extendBySeconds);
  if (Number.isInteger(attempt) && DELIVERY_ACTIONS.includes(action) && isExtension) return undefined;
  const message =
    'the argument must be {"attempt": integer, "action": "wait" | "write_off" | "delivered", "extendBySeconds"?: integer}';
  return { type: 'InvalidInput', message };
}

const isExtensionSeconds = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_EXTENSION_SECONDS;
