import { setTimeout } from 'node:timers/promises';

/** The external system of these workflows: records its effects in order, and can lose responses. */
export class World {
  private readonly effects: { orderId: string; effect: 'charge' | 'refund' }[] = [];
  private readonly keys = new Set<string>();
  private readonly losesAnswerTo = new Set<string>();

  /** The effects for an order. */
  effectsOf(orderId: string): string[] {
    return this.effects.filter((each) => each.orderId === orderId).map(({ effect }) => effect);
  }

  /** The next charge of the order takes effect, but its response is lost. */
  loseAnswerTo(orderId: string): void {
    this.losesAnswerTo.add(orderId);
  }

  readonly activities = {
    charge: async (orderId: string): Promise<void> => {
      this.effects.push({ orderId, effect: 'charge' });
      if (this.losesAnswerTo.delete(orderId)) throw new Error('the connection broke off');
    },
    chargeOnce: async (orderId: string, key: string): Promise<void> => {
      if (this.keys.has(key)) return;
      this.keys.add(key);
      await this.activities.charge(orderId);
    },
    /** Takes long enough to end after a query starts and before it is answered. */
    count: () => setTimeout(10),
    refund: async (orderId: string): Promise<void> => {
      this.effects.push({ orderId, effect: 'refund' });
    },
  };
}

export type Activities = World['activities'];
