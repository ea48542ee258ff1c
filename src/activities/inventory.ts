import type { OrderLine } from '../schemas/order.js';
import type { Store } from '../store/index.js';
import { refused } from './failures.js';

export interface ReserveStock {
  orderId: string;
  /** The execution that the reservation belongs to; another one with the same order id is turned away. */
  owner: string;
  lines: OrderLine[];
}

export function createInventoryActivities({ store }: { store: Store }) {
  return {
    /**
     * Takes the lines from the stock, all or nothing, once per order.
     *
     * @throws `OutOfStock` with what is missing, `OrderIdTaken` when another execution reserved under this id,
     * `ReservationReleased` when this order was already undone.
     */
    async reserveStock({ orderId, owner, lines }: ReserveStock): Promise<void> {
      const outcome = await store.reserve(orderId, owner, lines);
      if (outcome.status === 'reserved') return;
      if (outcome.status === 'taken') throw refused('OrderIdTaken', `order id ${orderId} belongs to another order`);
      if (outcome.status === 'released') throw refused('ReservationReleased', `order ${orderId} was already undone`);
      const missing = outcome.missing.map(
        ({ sku, wanted, available }) => `${sku}: ${wanted} wanted, ${available} there`,
      );
      throw refused('OutOfStock', missing.join('; '), outcome.missing);
    },

    /** Puts back what this execution reserved. Safe when it never did: a reservation that comes later is refused. */
    async releaseStock({ orderId, owner }: Pick<ReserveStock, 'orderId' | 'owner'>): Promise<void> {
      await store.release(orderId, owner);
    },
  };
}
