import { setTimeout } from 'node:timers/promises';

/** The external system of the example workflows. It records its effects in order and can lose responses. */
export class ExternalSystem {
  private readonly effects: { orderId: string; effect: 'charge' | 'refund' }[] = [];
  private readonly keys = new Set<string>();
  private readonly ordersWithLostResponse = new Set<string>();

  /** Returns the effects for an order, oldest first. */
  effectsOf(orderId: string): string[] {
    return this.effects.filter((each) => each.orderId === orderId).map(({ effect }) => effect);
  }

  /** Loses the response to the next charge of the order. The charge still takes effect. */
  loseResponseTo(orderId: string): void {
    this.ordersWithLostResponse.add(orderId);
  }

  readonly activities = {
    charge: async (orderId: string): Promise<void> => {
      this.effects.push({ orderId, effect: 'charge' });
      if (this.ordersWithLostResponse.delete(orderId)) throw new Error('connection lost');
    },
    chargeOnce: async (orderId: string, key: string): Promise<void> => {
      if (this.keys.has(key)) return;
      this.keys.add(key);
      await this.activities.charge(orderId);
    },
    /** The delay is long enough that a query can start before the activity completes. */
    count: () => setTimeout(10),
    refund: async (orderId: string): Promise<void> => {
      this.effects.push({ orderId, effect: 'refund' });
    },
  };
}

export type Activities = ExternalSystem['activities'];
