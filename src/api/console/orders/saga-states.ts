import type { OrderResource } from '../../../schemas/order.js';
import type { KnownOrder } from '../../orders/known.js';
import { STEPS, type CompensationName, type Step, type StepName } from './saga-steps.js';
import { isComplete } from './snapshot.js';

export type StepState =
  | 'done'
  | 'running'
  | 'waiting'
  | 'retrying'
  | 'overdue'
  | 'failed'
  | 'cancelled'
  | 'not needed'
  | 'not reached'
  | 'unknown';

export type CompensationState =
  | 'not needed'
  | 'ready'
  | 'next'
  | 'queued'
  | 'running'
  | 'retrying'
  | 'completed'
  | 'stuck'
  | 'skipped'
  | 'rejected'
  | 'unknown';

export interface SagaCompensation {
  name: string;
  state: CompensationState;
  attempt?: number;
  /** The compensation after which a queued compensation runs. */
  runsAfter?: string;
}

/** A step of the saga with its compensation, as the picture shows it. */
export interface SagaStep {
  name: string;
  state: StepState;
  isCurrent: boolean;
  startedAt?: string | undefined;
  endedAt?: string | undefined;
  compensation?: SagaCompensation;
}

/** Returns the steps of an order. An order that needs no approval has no approval step. */
export function sagaStepsOf(order: OrderResource | KnownOrder): SagaStep[] {
  return isComplete(order) ? completeSteps(order) : knownSteps(order);
}

function completeSteps(order: OrderResource): SagaStep[] {
  const queue = rollbackQueue(order);
  const isApprovalNeeded = order.approval !== undefined || order.steps.some(({ name }) => name === 'approval');
  return STEPS.filter(({ name }) => name !== 'approval' || isApprovalNeeded).map((step) => {
    const { name, stage, compensation } = step;
    const entry = order.steps.find((candidate) => candidate.name === name);
    const state = entry ? recordedState(order, entry.status, step.activities) : unrecordedState(order, name);
    return {
      name,
      state: name === 'approval' && state === 'running' ? 'waiting' : state,
      isCurrent: order.stage === stage,
      startedAt: entry?.startedAt,
      endedAt: entry?.endedAt,
      ...(compensation && { compensation: compensationOf(order, compensation, queue) }),
    };
  });
}

type EntryStatus = OrderResource['steps'][number]['status'];

function recordedState(order: OrderResource, status: EntryStatus, activities: readonly string[]): StepState {
  if (status === 'completed') return 'done';
  if (status !== 'started') return status;
  if (hasNoOutcome(order)) return 'unknown';
  return pendingState(order, activities) ?? 'running';
}

/** What delays the activities of a step; undefined if a worker runs them. */
function pendingState({ waiting, retrying }: KnownOrder | OrderResource, activities: readonly string[]) {
  if (waiting?.some(({ step }) => activities.includes(step))) return 'waiting';
  return retrying?.some(({ step }) => activities.includes(step)) ? 'retrying' : undefined;
}

/** The state of a step that has no entry in the timeline: it was not reached, or it is a wait for the carrier. */
function unrecordedState(order: OrderResource, name: StepName): StepState {
  if (name === 'pickup') return pickupState(order);
  if (name === 'delivery') return deliveryState(order);
  const isShipped = order.steps.some((step) => step.name === 'requestShipment');
  return name === 'chargePayment' && isShipped ? 'not needed' : 'not reached';
}

const isShipmentRequested = ({ steps }: OrderResource): boolean =>
  steps.some(({ name, status }) => name === 'requestShipment' && status === 'completed');

function pickupState(order: OrderResource): StepState {
  const { stage, shipment } = order;
  const hasLeft = stage === 'in_transit' || shipment?.status === 'in_transit' || isDelivered(order) || isLost(order);
  if (hasLeft) return 'done';
  if (!isShipmentRequested(order)) return 'not reached';
  if (stage === 'awaiting_pickup') return carrierState(order);
  return endState(order);
}

function deliveryState(order: OrderResource): StepState {
  if (isDelivered(order)) return 'done';
  if (isLost(order)) return 'failed';
  if (order.stage === 'in_transit') return carrierState(order);
  return order.shipment?.status === 'in_transit' ? endState(order) : 'not reached';
}

const isDelivered = ({ shipment }: OrderResource): boolean => shipment?.status === 'delivered';
const isLost = ({ shipment }: OrderResource): boolean => shipment?.status === 'lost';

const carrierState = ({ delivery }: OrderResource): StepState =>
  delivery?.overdueSince === undefined ? 'waiting' : 'overdue';

/** The state of the wait for the carrier that ended because the order is not completed. */
const endState = ({ cancellation }: OrderResource): StepState =>
  cancellation && !cancellation.rejected ? 'cancelled' : 'failed';

function compensationOf(order: OrderResource, name: CompensationName, queue: CompensationName[]): SagaCompensation {
  const entry = order.compensations.find((candidate) => candidate.name === name);
  if (!entry) return pendingCompensation(order, name, queue);
  const { status, attempt } = entry;
  const state = status === 'started' ? (pendingState(order, [name]) === undefined ? 'running' : 'retrying') : status;
  return { name, state, attempt };
}

/** A compensation that has not run. It runs only if the order is rolled back, and after the compensations of later steps. */
function pendingCompensation(
  order: OrderResource,
  name: CompensationName,
  queue: readonly CompensationName[],
): SagaCompensation {
  if (hasNoOutcome(order)) return { name, state: order.rolledBackAt === undefined ? 'unknown' : 'completed' };
  const position = queue.indexOf(name);
  if (position < 0 || order.stage === 'done') return { name, state: 'not needed' };
  if (!isRollingBack(order)) return { name, state: 'ready' };
  const runsAfter = queue[position - 1];
  return runsAfter === undefined ? { name, state: 'next' } : { name, state: 'queued', runsAfter };
}

/** Whether the workflow was ended from outside, so that no code of the order ran after that. */
const hasNoOutcome = ({ reason }: OrderResource): boolean =>
  ['Terminated', 'TimedOut', 'WorkflowMissing'].includes(reason?.type ?? '');

/** Whether the compensations run now, or as soon as the running step has ended. */
const isRollingBack = (order: OrderResource): boolean => order.stage === 'compensating' || isCancelling(order);

/** Whether the order is being rolled back on request. */
export const isCancelling = ({ stage, cancellation }: OrderResource): boolean =>
  stage !== 'done' && cancellation !== undefined && !cancellation.rejected;

/** The compensations of the started steps that have not ended, in the order in which they run: the newest step first. */
const rollbackQueue = ({ steps, compensations }: OrderResource): CompensationName[] =>
  STEPS.flatMap(({ name, compensation }) =>
    compensation && steps.some((step) => step.name === name) ? [compensation] : [],
  )
    .filter((name) => !compensations.some((entry) => entry.name === name && hasEnded(entry)))
    .reverse();

/** A stuck compensation blocks the older ones only if its step is the shipment. */
const hasEnded = ({ name, status }: OrderResource['compensations'][number]): boolean =>
  status === 'stuck' ? name !== 'cancelShipment' : status !== 'started';

/** Without an answer of a worker, the last recorded stage and the pending activities show how far the order came. */
function knownSteps(order: KnownOrder): SagaStep[] {
  const pending = [...(order.waiting ?? []), ...(order.retrying ?? [])].map(({ step }) => step);
  const isPending = ({ activities }: Step) => activities.some((name) => pending.includes(name));
  const recorded = STEPS.findIndex(({ stage }) => stage === order.stage);
  const current = Math.max(recorded, STEPS.findIndex(isPending));
  return STEPS.filter(({ name }, index) => name !== 'approval' || index === current).map((step) => {
    const index = STEPS.indexOf(step);
    const { name, compensation, activities } = step;
    const isDone = index < current || (name === 'reserveStock' && order.lines !== undefined);
    const state = isDone ? 'done' : (pendingState(order, activities) ?? unansweredState(order, name));
    const isCompensating = compensation !== undefined && pending.includes(compensation);
    return {
      name,
      state,
      isCurrent: index === current,
      ...(compensation && {
        compensation: {
          name: compensation,
          state: isCompensating ? 'retrying' : isUnreserved(order) ? 'not needed' : 'unknown',
        },
      }),
    };
  });
}

/** The store has the lines of an order once its stock is reserved. */
export const isUnreserved = ({ stage, lines }: KnownOrder): boolean =>
  stage === 'reserving_stock' && lines === undefined;

function unansweredState(order: KnownOrder, name: StepName): StepState {
  if (!isUnreserved(order)) return 'unknown';
  return name === 'reserveStock' ? 'waiting' : 'not reached';
}
