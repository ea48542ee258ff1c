import type { Activities } from '../../../activities/index.js';
import type { createOrderActivities } from '../../../activities/orders.js';
import type { OrderStage } from '../../../schemas/order.js';

/** A step of the order workflow. `activities` run as a part of the step. */
interface StepDefinition {
  name: string;
  compensation?: keyof Activities;
  activities: readonly (keyof Activities)[];
}

type StepStage = Exclude<OrderStage, 'compensating' | 'done'>;

/** The steps by their stage, in the order in which they run. */
const STEPS_BY_STAGE = {
  reserving_stock: { name: 'reserveStock', compensation: 'releaseStock', activities: ['reserveStock'] },
  awaiting_approval: { name: 'approval', activities: ['awaitExistingApproval'] },
  charging_payment: { name: 'chargePayment', compensation: 'refundPayment', activities: ['chargePayment'] },
  requesting_shipment: { name: 'requestShipment', compensation: 'cancelShipment', activities: ['requestShipment'] },
  awaiting_pickup: { name: 'pickup', activities: ['trackShipment'] },
  in_transit: { name: 'delivery', activities: ['trackShipment'] },
} as const satisfies Record<StepStage, StepDefinition>;

type KnownStep = (typeof STEPS_BY_STAGE)[StepStage];
export type StepName = KnownStep['name'];
export type CompensationName = Extract<KnownStep, { compensation: string }>['compensation'];
type OrderActivity = KnownStep['activities'][number] | keyof ReturnType<typeof createOrderActivities>;

export interface Step extends StepDefinition {
  name: StepName;
  stage: StepStage;
  compensation?: CompensationName;
}

export const STEPS: readonly Step[] = (Object.keys(STEPS_BY_STAGE) as StepStage[]).map((stage) => ({
  stage,
  ...STEPS_BY_STAGE[stage],
}));

export const isCompensation = (name: string): boolean => STEPS.some(({ compensation }) => compensation === name);

const TITLES: Record<StepName | CompensationName | OrderActivity, string> = {
  reserveStock: 'Reserve stock',
  releaseStock: 'Release stock',
  approval: 'Approval',
  awaitExistingApproval: 'Approval',
  chargePayment: 'Charge payment',
  refundPayment: 'Refund payment',
  requestShipment: 'Request shipment',
  cancelShipment: 'Cancel shipment',
  pickup: 'Pickup',
  delivery: 'Delivery',
  trackShipment: 'Poll the carrier',
  recordOrderStatus: 'Record the status',
  recordContradictingReport: 'Record a contradicting report',
  closeOrder: 'Record the outcome',
};

/** Returns the title of a step, a compensation or another activity. An order of another version may have other names. */
export const titleOf = (name: string): string =>
  Object.hasOwn(TITLES, name) ? TITLES[name as keyof typeof TITLES] : name;
