import type { Store } from '../store/index.js';
import { createCartActivities } from './carts.js';
import { createCatalogueActivities } from './catalogue.js';
import { createInventoryActivities } from './inventory.js';
import { createPaymentActivities } from './payments.js';
import { createShippingActivities } from './shipping.js';

/** What the activities need of the world. */
export interface ActivityDependencies {
  store: Store;
  /** Base URL of the payment gateway. */
  paymentsUrl: string;
  /** Base URL of the carrier. */
  carrierUrl: string;
}

/** All activities by their wire names, bound to the outside world that they act on. */
export function createActivities(deps: ActivityDependencies) {
  return {
    ...createCartActivities(deps),
    ...createCatalogueActivities(deps),
    ...createInventoryActivities(deps),
    ...createPaymentActivities(deps),
    ...createShippingActivities(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
