import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { z } from 'zod';
import { type OperationName, operationSchema } from './call-faults.js';

export const holdSchema = z.strictObject({
  on: operationSchema,
  orderId: z.string().min(1),
  /**
   * `response`: the effect happens immediately, and only the response waits. `effect`: the effect waits for the
   * release.
   */
  waitBefore: z.enum(['response', 'effect']).default('response'),
  /**
   * Whether a held effect still happens after its client has disconnected. True simulates a network that delivers the
   * request late.
   */
  applyAfterDisconnect: z.boolean().default(true),
});

export type HoldOptions = Partial<Pick<z.infer<typeof holdSchema>, 'waitBefore' | 'applyAfterDisconnect'>>;

/** Makes all calls of one kind for one order wait until the release, so that a test can act in the middle of a call. */
export class Hold {
  readonly holdId = randomUUID();
  readonly on: OperationName;
  readonly orderId: string;
  readonly waitBefore: 'response' | 'effect';
  readonly applyAfterDisconnect: boolean;
  readonly #arrived = deferred();
  readonly #disconnected = deferred();
  readonly #opened = deferred();
  readonly #remove: () => void;
  readonly #calls: Promise<unknown>[] = [];
  #arrivals = 0;
  #disconnections = 0;
  #dropped = false;

  constructor(options: z.infer<typeof holdSchema>, remove: () => void) {
    this.on = options.on;
    this.orderId = options.orderId;
    this.waitBefore = options.waitBefore;
    this.applyAfterDisconnect = options.applyAfterDisconnect;
    this.#remove = remove;
  }

  /**
   * Resolves when the first call waits. With `waitBefore: 'response'`, the ledger then already contains the effect of
   * the call.
   */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  /** Resolves when the client of a waiting call has disconnected. */
  get disconnected(): Promise<void> {
    return this.#disconnected.promise;
  }

  /** The number of calls that arrived, and the number of calls whose client disconnected. */
  get counts(): { arrived: number; disconnected: number } {
    return { arrived: this.#arrivals, disconnected: this.#disconnections };
  }

  /** Removes the hold, so that later calls do not wait. Resolves when all waiting calls have finished. */
  async release(): Promise<void> {
    this.#remove();
    this.#opened.happen();
    await Promise.allSettled(this.#calls);
  }

  /** Ends the waiting calls without a response when the server stops. */
  drop(): void {
    this.#dropped = true;
    this.#opened.happen();
  }

  /** Called by the server. `release` waits until the added call has finished. */
  addCall(call: Promise<unknown>): void {
    this.#calls.push(call);
  }

  /** Called by the server. Waits for the release. Returns false if the call must end without a response. */
  async waitForRelease(client: Socket): Promise<boolean> {
    const onDisconnect = () => {
      this.#disconnections++;
      this.#disconnected.happen();
    };
    if (client.destroyed) onDisconnect();
    else client.once('close', onDisconnect);
    this.#arrivals++;
    this.#arrived.happen();
    await this.#opened.promise;
    client.off('close', onDisconnect);
    if (this.#dropped) return false;
    return this.waitBefore === 'response' || this.applyAfterDisconnect || !client.destroyed;
  }
}

/** All holds that are not released. */
export class Holds {
  readonly #holds = new Map<string, Hold>();

  add(options: z.input<typeof holdSchema>): Hold {
    const hold: Hold = new Hold(holdSchema.parse(options), () => this.#holds.delete(hold.holdId));
    this.#holds.set(hold.holdId, hold);
    return hold;
  }

  /** Returns the hold with this id, or undefined after the release of the hold. */
  get(holdId: string): Hold | undefined {
    return this.#holds.get(holdId);
  }

  /** Returns the hold for this call, if any. */
  find(on: OperationName, orderId: string): Hold | undefined {
    return [...this.#holds.values()].find((hold) => hold.on === on && hold.orderId === orderId);
  }

  async releaseAll(): Promise<void> {
    await Promise.all([...this.#holds.values()].map((hold) => hold.release()));
  }

  /** Ends all waiting calls without a response when the server stops. */
  dropAll(): void {
    for (const hold of this.#holds.values()) hold.drop();
  }
}

function deferred() {
  let happen!: () => void;
  const promise = new Promise<void>((resolve) => (happen = resolve));
  return { promise, happen };
}
