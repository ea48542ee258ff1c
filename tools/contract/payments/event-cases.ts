import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { PaymentEvent } from '../../../src/schemas/payment-event.js';
import type { ContractCase } from '../contract-case.js';
import type { EventReceiver, PaymentEvents, PaymentPartner } from './partner.js';

interface EventTrial extends Pick<PaymentEvents, 'makeBody' | 'sign'> {
  receiver: EventReceiver;
  /** An event about a charge that no other case has. */
  event: PaymentEvent;
}

function promise(title: string, run: (trial: EventTrial) => void): ContractCase<PaymentPartner> {
  return {
    title,
    missing: ({ events }) => (events ? undefined : 'send events'),
    run: async ({ events }) => {
      const id = randomUUID().replaceAll('-', '');
      const event = { eventId: `evt_${id}`, type: 'charged', chargeId: `pi_${id}`, orderId: `contract-${id}` } as const;
      run({ ...events!, receiver: await events!.createReceiver(), event });
    },
  };
}

const minutesFromNow = (minutes: number) => new Date(Date.now() + minutes * 60_000);

/** The promises of an adapter whose provider sends events. */
export const eventCases: readonly ContractCase<PaymentPartner>[] = [
  promise('reads the same event id from each delivery of an event', ({ makeBody, sign, receiver, event }) => {
    const signed = sign(makeBody(event));
    for (let delivery = 1; delivery <= 3; delivery += 1) assert.equal(receiver.receive(signed), 'recorded');
    assert.deepEqual(receiver.recorded(), [{ ...event }]);
  }),

  promise('records the events of a dispute in any order', ({ makeBody, sign, receiver, event }) => {
    const { chargeId, eventId } = event;
    const dispute = { chargeId, disputeId: 'dp_1' };
    const closed = { eventId: `${eventId}2`, type: 'dispute_closed', ...dispute } as const;
    const opened = { eventId, type: 'dispute_opened', ...dispute } as const;
    for (const each of [closed, opened]) assert.equal(receiver.receive(sign(makeBody(each))), 'recorded');
    assert.deepEqual(receiver.recorded(), [closed, opened]);
  }),

  promise('accepts each secret of a rotation, also two signatures at once', ({ makeBody, sign, receiver, event }) => {
    for (const secrets of [['current'], ['previous'], ['foreign', 'current']] as const)
      assert.equal(receiver.receive(sign(makeBody(event), { secrets })), 'recorded', secrets.join(' and '));
    assert.equal(receiver.recorded().length, 1);
  }),

  promise('rejects an event with the secret of another account', ({ makeBody, sign, receiver, event }) => {
    assert.equal(receiver.receive(sign(makeBody(event), { secrets: ['foreign'] })), 'rejected');
    assert.deepEqual(receiver.recorded(), []);
  }),

  promise('rejects a forged event, and an event without a signature', ({ makeBody, sign, receiver, event }) => {
    const { headers } = sign(makeBody(event));
    const body = makeBody({ ...event, orderId: 'another-order' });
    assert.equal(receiver.receive({ headers, body }), 'rejected');
    assert.equal(receiver.receive({ headers: {}, body }), 'rejected');
    assert.deepEqual(receiver.recorded(), []);
  }),

  promise('rejects an event that is more than five minutes old or ahead', ({ makeBody, sign, receiver, event }) => {
    for (const minutes of [-6, 6])
      assert.equal(receiver.receive(sign(makeBody(event), { at: minutesFromNow(minutes) })), 'rejected');
    assert.deepEqual(receiver.recorded(), []);
    for (const minutes of [-4, 4])
      assert.equal(receiver.receive(sign(makeBody(event), { at: minutesFromNow(minutes) })), 'recorded');
  }),

  promise('rejects a signed body that is not an event', ({ makeBody, sign, receiver, event }) => {
    for (const body of ['', '{', '[]', '{}', 'null', makeBody({ ...event, chargeId: '' })])
      assert.equal(receiver.receive(sign(body)), 'rejected', `the body ${body}`);
    assert.deepEqual(receiver.recorded(), []);
  }),
];
