import assert from 'node:assert/strict';
import { assertFails, assertTimesOut, cancelHeldAttempt } from '../attempts.js';
import { findMissing, type ContractCase } from '../contract-case.js';
import type { CarrierOperation, CarrierPartner, SignedReport } from './partner.js';
import { ReportReceiver } from './report-receiver.js';
import { Trial } from './trial.js';

/** The methods of a partner that a case may need, with the words of the report. */
const PROVOCATIONS = {
  loseNextResponse: 'lose a response',
  garbleNextResponse: 'answer with an unknown body',
  failNextRequest: 'answer with an error status',
  holdShipment: 'hold a shipment request',
  expireKeys: 'expire idempotency keys',
  pickUp: 'pick a parcel up',
  reports: 'sign reports',
} as const satisfies Partial<Record<keyof CarrierPartner, string>>;

type Run = (trial: Trial, partner: CarrierPartner) => Promise<void>;

function promise(
  title: string,
  provocations: readonly (keyof typeof PROVOCATIONS)[],
  run: Run,
): ContractCase<CarrierPartner> {
  return {
    title,
    missing: (partner) => findMissing(partner, PROVOCATIONS, provocations),
    run: (partner) => run(new Trial(partner), partner),
  };
}

const unavailable = { type: 'CarrierUnavailable', isFinal: false };
const cancelled = { type: 'ShipmentCancelled', isFinal: true };

const CALLS: Record<CarrierOperation, { name: string; run: (trial: Trial) => Promise<unknown> }> = {
  shipment: { name: 'shipment request', run: (trial) => trial.requestShipment() },
  cancellation: { name: 'cancellation', run: (trial) => trial.cancelShipment() },
  tracking: { name: 'lookup', run: (trial) => trial.findShipment() },
};

/** The promises of the port `Carrier`. Every case uses an order of its own, so cases can run concurrently. */
export const shippingCases: readonly ContractCase<CarrierPartner>[] = [
  promise('ships an order once when the request is repeated', [], async (trial) => {
    const first = await trial.requestShipment();
    assert.equal(await trial.requestShipment(), first, 'the shipment id of the repeated request');
    await trial.assertParcels({ open: 1, cancelled: 0 });
  }),

  promise(
    'ships an order once when the response to the request is lost',
    ['loseNextResponse'],
    async (trial, partner) => {
      await partner.loseNextResponse!('shipment', trial.orderId);
      await assertFails(trial.requestShipment(), unavailable);
      await trial.requestShipment();
      await trial.assertParcels({ open: 1, cancelled: 0 });
    },
  ),

  promise('cancels a shipment once when the cancellation is repeated', [], async (trial) => {
    await trial.requestShipment();
    assert.equal(await trial.cancelShipment(), 'cancelled');
    assert.equal(await trial.cancelShipment(), 'cancelled');
    await trial.assertParcels({ open: 0, cancelled: 1 });
  }),

  promise(
    'cancels a shipment once when the response to the cancellation is lost',
    ['loseNextResponse'],
    async (trial, partner) => {
      await trial.requestShipment();
      await partner.loseNextResponse!('cancellation', trial.orderId);
      await assertFails(trial.cancelShipment(), unavailable);
      assert.equal(await trial.cancelShipment(), 'cancelled');
      await trial.assertParcels({ open: 0, cancelled: 1 });
    },
  ),

  promise(
    'cancels a shipment when the response to its request was lost',
    ['loseNextResponse'],
    async (trial, partner) => {
      await partner.loseNextResponse!('shipment', trial.orderId);
      await assertFails(trial.requestShipment(), unavailable);
      assert.equal(await trial.cancelShipment(), 'cancelled');
      await trial.assertParcels({ open: 0, cancelled: 1 });
    },
  ),

  promise('ships nothing when a request is repeated after the cancellation', [], async (trial) => {
    const shipmentId = await trial.requestShipment();
    await trial.cancelShipment();
    // While the carrier keeps the key, it may return the cancelled shipment.
    const repeated = trial.requestShipment();
    const [result] = await Promise.allSettled([repeated]);
    if (result.status === 'rejected') await assertFails(repeated, cancelled);
    else assert.equal(result.value, shipmentId, 'the shipment id of the repeated request');
    await trial.assertParcels({ open: 0, cancelled: 1 });
  }),

  promise('voids an order that has no shipment, and rejects a later request', [], async (trial) => {
    assert.equal(await trial.cancelShipment(), 'voided');
    assert.equal(await trial.cancelShipment(), 'voided');
    await assertFails(trial.requestShipment(), cancelled);
    await trial.assertParcels({ open: 0, cancelled: 0 });
  }),

  promise('ships nothing for a request that arrives after the void', ['holdShipment'], async (trial, partner) => {
    const held = await partner.holdShipment!(trial.orderId);
    await cancelHeldAttempt(held, (env) => trial.requestShipment(env));
    assert.equal(await trial.cancelShipment(), 'voided');
    await held.release();
    await trial.assertParcels({ open: 0, cancelled: 0 });
  }),

  promise('reports a cancellation after the pickup as already_picked_up', ['pickUp'], async (trial, partner) => {
    await trial.requestShipment();
    await partner.pickUp!(trial.orderId);
    assert.equal(await trial.cancelShipment(), 'already_picked_up');
    assert.equal(await trial.cancelShipment(), 'already_picked_up');
    await trial.assertParcels({ open: 1, cancelled: 0 });
  }),

  promise('ships an order once when the order is older than the retention of keys', ['expireKeys'], async (trial) => {
    const first = await trial.requestShipment();
    await trial.expireKeys();
    assert.equal(await trial.requestShipment(), first, 'the shipment id of the repeated request');
    await trial.assertParcels({ open: 1, cancelled: 0 });
  }),

  promise('ships an old order that has no shipment', ['expireKeys'], async (trial) => {
    await trial.expireKeys();
    await trial.requestShipment();
    await trial.assertParcels({ open: 1, cancelled: 0 });
  }),

  promise('rejects a request for an old order whose shipment was cancelled', ['expireKeys'], async (trial) => {
    await trial.requestShipment();
    await trial.cancelShipment();
    await trial.expireKeys();
    await assertFails(trial.requestShipment(), cancelled);
    await trial.assertParcels({ open: 0, cancelled: 1 });
  }),

  promise(
    'cancels a shipment once when the order is older than the retention of keys',
    ['expireKeys'],
    async (trial) => {
      await trial.requestShipment();
      await trial.expireKeys();
      assert.equal(await trial.cancelShipment(), 'cancelled');
      await trial.expireKeys();
      assert.equal(await trial.cancelShipment(), 'cancelled');
      await trial.assertParcels({ open: 0, cancelled: 1 });
    },
  ),

  promise('keeps a void after the retention of keys', ['expireKeys'], async (trial) => {
    assert.equal(await trial.cancelShipment(), 'voided');
    await trial.expireKeys();
    assert.equal(await trial.cancelShipment(), 'voided');
    await assertFails(trial.requestShipment(), cancelled);
    await trial.assertParcels({ open: 0, cancelled: 0 });
  }),

  ...(['shipment', 'cancellation', 'tracking'] as const).flatMap((operation) => {
    const { name, run } = CALLS[operation];
    const isRequest = operation === 'shipment';
    const expected = operation === 'cancellation' ? { open: 0, cancelled: 1 } : { open: 1, cancelled: 0 };
    return [
      promise(
        `reports a rate limit during a ${name} as unavailable, with the delay of Retry-After`,
        ['failNextRequest'],
        async (trial, partner) => {
          if (!isRequest) await trial.requestShipment();
          await partner.failNextRequest!(operation, trial.orderId, { status: 429, retryAfter: '7' });
          const failure = await assertFails(run(trial), unavailable);
          assert.equal(failure.nextRetryDelay, 7_000, 'the retry delay');
          await run(trial);
        },
      ),
      promise(`survives an error of the carrier during a ${name}`, ['failNextRequest'], async (trial, partner) => {
        if (!isRequest) await trial.requestShipment();
        for (const status of [500, 503]) {
          await partner.failNextRequest!(operation, trial.orderId, { status });
          await assertFails(run(trial), unavailable);
        }
        await run(trial);
        await trial.assertParcels(expected);
      }),
      promise(
        `repeats a ${name} whose response has an unknown format`,
        ['garbleNextResponse'],
        async (trial, partner) => {
          if (!isRequest) await trial.requestShipment();
          await partner.garbleNextResponse!(operation, trial.orderId);
          await assertFails(run(trial), unavailable);
          await run(trial);
          await trial.assertParcels(expected);
        },
      ),
    ];
  }),

  promise(
    'reports wrong credentials as misconfigured, so that an operator can correct them',
    ['failNextRequest'],
    async (trial, partner) => {
      await partner.failNextRequest!('shipment', trial.orderId, { status: 401 });
      await assertFails(trial.requestShipment(), { type: 'CarrierMisconfigured', isFinal: false });
      await trial.requestShipment();
    },
  ),

  promise('ends an attempt in time when the carrier does not respond', ['holdShipment'], async (trial, partner) => {
    const held = await partner.holdShipment!(trial.orderId);
    await assertTimesOut(() => trial.requestShipment(), unavailable).finally(() => held.release());
    await trial.requestShipment();
    await trial.assertParcels({ open: 1, cancelled: 0 });
  }),

  promise('finds no shipment of an unknown order and of a voided order', [], async (trial) => {
    assert.equal(await trial.findShipment(), undefined, 'the shipment of an unknown order');
    await trial.cancelShipment();
    assert.equal(await trial.findShipment(), undefined, 'the shipment of a voided order');
  }),

  promise('finds a shipment, also after its cancellation', [], async (trial) => {
    const shipmentId = await trial.requestShipment();
    assert.deepEqual(await trial.findShipment(), { shipmentId, status: 'accepted' });
    await trial.cancelShipment();
    assert.deepEqual(await trial.findShipment(), { shipmentId, status: 'cancelled' });
  }),

  promise(
    'finds a shipment after the pickup and after the retention of keys',
    ['pickUp', 'expireKeys'],
    async (trial, partner) => {
      const shipmentId = await trial.requestShipment();
      await partner.pickUp!(trial.orderId);
      await trial.expireKeys();
      assert.deepEqual(await trial.findShipment(), { shipmentId, status: 'in_transit' });
    },
  ),

  ...reportCases(),
];

const SHIPMENT_ID = 'sh-1';
const OTHER_SECRET = `whsec_${Buffer.from('another secret of 32 characters!').toString('base64')}`;

interface ReportOptions {
  status?: string;
  shipmentId?: string;
  messageId?: string;
  ageMinutes?: number;
  secret?: string;
}

/** The reports of the carrier must pass the checks of the API and the rules of the order. */
function reportCases(): ContractCase<CarrierPartner>[] {
  return [
    reportCase('applies a duplicated report once', (receiver, sign) => {
      const report = sign();
      assert.equal(receiver.receive(report), 'changed the status');
      assert.equal(receiver.receive(report), 'no effect');
      assert.equal(receiver.parcel.status, 'in_transit');
    }),
    reportCase('keeps the newest status when reports arrive out of order', (receiver, sign) => {
      receiver.receive(sign({ status: 'delivered' }));
      assert.equal(receiver.receive(sign({ status: 'in_transit' })), 'no effect');
      assert.equal(receiver.parcel.status, 'delivered');
    }),
    reportCase('rejects a report that is older than five minutes', (receiver, sign) => {
      assert.equal(receiver.receive(sign({ ageMinutes: 6 })), 'rejected');
      assert.equal(receiver.receive(sign({ ageMinutes: 4 })), 'changed the status');
    }),
    reportCase('rejects a forged report', (receiver, sign) => {
      const report = sign();
      const forgeries: Record<string, SignedReport> = {
        'another secret': sign({ secret: OTHER_SECRET }),
        'another body': { ...report, body: sign({ status: 'delivered' }).body },
        'no signature': { ...report, headers: {} },
      };
      for (const [kind, forgery] of Object.entries(forgeries))
        assert.equal(receiver.receive(forgery), 'rejected', `a report with ${kind}`);
      assert.equal(receiver.parcel.status, 'requested');
    }),
    reportCase('ignores a report about another parcel', (receiver, sign) => {
      assert.equal(receiver.receive(sign({ shipmentId: 'sh-2' })), 'no effect');
      assert.equal(receiver.parcel.ignoredReportCount, 1);
    }),
    reportCase('does not apply a status that the shop does not know', (receiver, sign) => {
      assert.equal(receiver.receive(sign({ status: 'at the customs' })), 'unknown status');
      assert.equal(receiver.parcel.status, 'requested');
    }),
  ];
}

function reportCase(
  title: string,
  run: (receiver: ReportReceiver, sign: (options?: ReportOptions) => SignedReport) => void,
): ContractCase<CarrierPartner> {
  return promise(title, ['reports'], async ({ orderId }, { reports }) => {
    const { secrets, sign } = reports!;
    const signReport = ({ status = 'in_transit', shipmentId = SHIPMENT_ID, ...options }: ReportOptions = {}) => {
      const { messageId = `msg-${status}`, ageMinutes = 0, secret } = options;
      const sentAt = new Date(Date.now() - ageMinutes * 60_000);
      return sign({ orderId, shipmentId, status }, { messageId, sentAt, ...(secret && { secret }) });
    };
    run(new ReportReceiver(secrets, SHIPMENT_ID), signReport);
  });
}
