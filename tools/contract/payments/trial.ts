import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MockActivityEnvironment } from '@temporalio/testing';
import type { Payment, PaymentGateway, RefundStatus } from '../../../src/activities/payment-gateway.js';
import type { Money } from '../../../src/schemas/shared/money.js';
import { runAttempt } from '../attempts.js';
import type { PaymentPartner } from './partner.js';

const HOUR_MS = 3_600_000;

interface ChargeOptions {
  amount?: Money | undefined;
  token?: string | undefined;
  /** The environment of the attempt, to cancel it. */
  env?: MockActivityEnvironment;
}

/** One order with an adapter of its own. Runs each call like an attempt of an activity. */
export class Trial {
  readonly orderId = `contract-${randomUUID()}`;
  readonly #partner: PaymentPartner;
  readonly #gateway: PaymentGateway;
  #placedAt = new Date();

  constructor(partner: PaymentPartner) {
    this.#partner = partner;
    this.#gateway = partner.createGateway({
      findOrder: async () => ({ placedAt: this.#placedAt, total: partner.amount }),
    });
  }

  charge({ amount = this.#partner.amount, token = this.#partner.cards.accepted, env }: ChargeOptions = {}) {
    const { orderId } = this;
    return runAttempt(() => this.#gateway.charge({ orderId, amount, token, placedAt: this.#placedAt }), env);
  }

  async refund(): Promise<RefundStatus> {
    const { status } = await runAttempt(() => this.#gateway.refund({ orderId: this.orderId }));
    return status;
  }

  /** Looks the payment up, and repeats the lookup while the partner may be behind. */
  async findPayment(isExpected: (payment: Payment) => boolean): Promise<Payment> {
    const deadline = Date.now() + (this.#partner.lookupDelayMs ?? 0);
    for (;;) {
      const payment = await runAttempt(() => this.#gateway.findPayment(this.orderId));
      if (isExpected(payment) || Date.now() >= deadline) return payment;
      await sleep(5_000);
    }
  }

  /** Undefined if the adapter does not have the method. */
  get findOrderId(): ((chargeId: string) => Promise<string | undefined>) | undefined {
    const gateway = this.#gateway;
    return gateway.findOrderId && ((chargeId) => runAttempt(() => gateway.findOrderId!(chargeId)));
  }

  /** Lists the charges of this order, with pages of `limit` charges. */
  async listCharges(limit = 100) {
    const period = { createdFrom: new Date(Date.now() - HOUR_MS), createdBefore: new Date(Date.now() + HOUR_MS) };
    const charges = [];
    let after: string | undefined;
    do {
      const page = await runAttempt(() => this.#gateway.listCharges({ ...period, limit, after }));
      assert.ok(page.charges.length <= limit, `a page has at most ${limit} charges`);
      charges.push(...page.charges);
      after = page.next ?? undefined;
    } while (after !== undefined);
    return charges.filter(({ orderId }) => orderId === this.orderId);
  }

  /** Makes the order older than the retention of keys, and expires its keys. */
  async expireKeys(): Promise<void> {
    await this.#partner.expireKeys!(this.orderId);
    this.#placedAt = new Date(Date.now() - 10 * 365 * 24 * HOUR_MS);
  }

  async assertEffects(expected: { charges: number; refunds: number }): Promise<void> {
    assert.deepEqual(await this.#countEffects(), expected, 'the money that the partner moved');
  }

  async #countEffects() {
    if (this.#partner.countEffects) return await this.#partner.countEffects(this.orderId);
    const charges = (await this.listCharges()).filter(({ status }) => status === 'succeeded');
    return { charges: charges.length, refunds: charges.filter(({ refunded }) => refunded).length };
  }
}
