import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { MockActivityEnvironment } from '@temporalio/testing';
import type { CancellationStatus, Carrier, Shipment } from '../../../src/activities/carrier.js';
import { runAttempt } from '../attempts.js';
import type { CarrierPartner } from './partner.js';

const TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000;

/** One order with an adapter of its own. Runs each call like an attempt of an activity. */
export class Trial {
  readonly orderId = `contract-${randomUUID()}`;
  readonly #partner: CarrierPartner;
  readonly #carrier: Carrier;
  #placedAt = new Date();

  constructor(partner: CarrierPartner) {
    this.#partner = partner;
    this.#carrier = partner.createCarrier();
  }

  /** @param env the environment of the attempt, to cancel it. */
  async requestShipment(env?: MockActivityEnvironment): Promise<string> {
    const request = { orderId: this.orderId, lines: this.#partner.lines, placedAt: this.#placedAt };
    const { shipmentId } = await runAttempt(() => this.#carrier.requestShipment(request), env);
    return shipmentId;
  }

  async cancelShipment(): Promise<CancellationStatus> {
    const { status } = await runAttempt(() => this.#carrier.cancelShipment({ orderId: this.orderId }));
    return status;
  }

  findShipment(): Promise<Shipment | undefined> {
    return runAttempt(() => this.#carrier.findShipment(this.orderId));
  }

  /** Makes the order older than the retention of keys, and expires its keys. */
  async expireKeys(): Promise<void> {
    await this.#partner.expireKeys!(this.orderId);
    this.#placedAt = new Date(Date.now() - TEN_YEARS_MS);
  }

  async assertParcels(expected: { open: number; cancelled: number }): Promise<void> {
    assert.deepEqual(await this.#countParcels(), expected, 'the parcels of the order');
  }

  async #countParcels() {
    if (this.#partner.countParcels) return await this.#partner.countParcels(this.orderId);
    const newest = await this.findShipment();
    if (!newest) return { open: 0, cancelled: 0 };
    return newest.status === 'cancelled' ? { open: 0, cancelled: 1 } : { open: 1, cancelled: 0 };
  }
}
