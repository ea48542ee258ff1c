import type { ReservedOrder } from '../../activities/orders.js';
import { cancelSampleCase, sampleCase } from './activities.js';
import type { OrderState } from './state.js';

/** The step between the approval and the charge. */
export function runSampleCase(state: OrderState, { customerId }: ReservedOrder): Promise<void> {
  const { orderId } = state.key;
  return state.runStep({
    name: 'sampleCase',
    stage: 'sample_case',
    run: () => sampleCase({ orderId, customerId }),
    compensation: { name: 'cancelSampleCase', run: () => cancelSampleCase({ orderId }) },
  });
}
