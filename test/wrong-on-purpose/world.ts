import { setTimeout } from 'node:timers/promises';

/** The outside world of these workflows: what it was asked to do, in order, and which of its answers get lost. */
export class World {
  private readonly effects: { orderId: string; effect: 'charge' | 'refund' }[] = [];
  private readonly keys = new Set<string>();
  private readonly losesAnswerTo = new Set<string>();

  /** What was done for an order. */
  effectsOf(orderId: string): string[] {
    return this.effects.filter((each) => each.orderId === orderId).map(({ effect }) => effect);
  }

  /** The next charge of the order takes effect, and nobody learns of it. */
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
    /** Ends after a query was begun, and before it is answered. */
    count: () => setTimeout(10),
    refund: async (orderId: string): Promise<void> => {
      this.effects.push({ orderId, effect: 'refund' });
    },
  };
}

export type Activities = World['activities'];
