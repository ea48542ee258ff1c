import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { z } from 'zod';
import { type OperationName, operationSchema } from './call-faults.js';

export const holdSchema = z.strictObject({
  on: operationSchema,
  orderId: z.string().min(1),
  /** `response`: the effect happens at once and only the response is held. `effect`: the effect happens at the release. */
  waitBefore: z.enum(['response', 'effect']).default('response'),
  /**
   * Whether an effect that was held still happens when the client has disconnected, as on a network that delivers late.
   */
  applyAfterDisconnect: z.boolean().default(true),
});

export type HoldOptions = Partial<Pick<z.infer<typeof holdSchema>, 'waitBefore' | 'applyAfterDisconnect'>>;

/** A gate at which the calls of one kind for one order wait, so that a test can act exactly during a step. */
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

  /** Resolves when the first call waits here; with `waitBefore: 'response'`, its effect is then in the ledger. */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  /** Resolves when the client of a waiting call has disconnected. */
  get disconnected(): Promise<void> {
    return this.#disconnected.promise;
  }

  /** How many calls arrived, and how many of their clients disconnected. */
  get counts(): { arrived: number; disconnected: number } {
    return { arrived: this.#arrivals, disconnected: this.#disconnections };
  }

  /** Lets waiting and later calls through. Resolves when the waiting calls are finished. */
  async release(): Promise<void> {
    this.#remove();
    this.#opened.happen();
    await Promise.allSettled(this.#calls);
  }

  /** Ends the waiting calls without an effect, because the server stops. */
  drop(): void {
    this.#dropped = true;
    this.#opened.happen();
  }

  /** For the server: the release waits for this call. */
  addCall(call: Promise<unknown>): void {
    this.#calls.push(call);
  }

  /** For the server: waits until the gate opens. Returns false if the call must be dropped. */
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

/** All gates that are closed at the moment. */
export class Holds {
  readonly #holds = new Map<string, Hold>();

  /** Closes a gate. */
  add(options: z.input<typeof holdSchema>): Hold {
    const hold: Hold = new Hold(holdSchema.parse(options), () => this.#holds.delete(hold.holdId));
    this.#holds.set(hold.holdId, hold);
    return hold;
  }

  /** The gate with this id, unless it is released. */
  get(holdId: string): Hold | undefined {
    return this.#holds.get(holdId);
  }

  /** The gate that blocks this call, if any. */
  find(on: OperationName, orderId: string): Hold | undefined {
    return [...this.#holds.values()].find((hold) => hold.on === on && hold.orderId === orderId);
  }

  /** Opens every gate. */
  async releaseAll(): Promise<void> {
    await Promise.all([...this.#holds.values()].map((hold) => hold.release()));
  }

  /** Drops every waiting call, because the server stops. */
  dropAll(): void {
    for (const hold of this.#holds.values()) hold.drop();
  }
}

function deferred() {
  let happen!: () => void;
  const promise = new Promise<void>((resolve) => (happen = resolve));
  return { promise, happen };
}
