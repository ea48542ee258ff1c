import type { OperationName } from '../fakes/calls/call-faults.js';
import type { Fakes } from '../fakes/fakes.js';
import { DEFAULT_RETENTION_SECONDS } from '../fakes/ledger/idempotency-keys.js';

/** A fault of a partner that lasts until it is turned off. The fakes hold the state, so `/test/faults` changes it too. */
export interface Switch {
  name: string;
  partner: 'Payment gateway' | 'Carrier';
  title: string;
  explanation: string;
  /** Only one of the exclusive faults can be on. */
  isExclusive?: true;
  isOn: () => boolean;
  turnOn: () => void;
  turnOff: () => void;
}

/** The calls to the payment gateway that change something. */
const GATEWAY_CALLS: readonly OperationName[] = ['charge', 'refund'];

const SLOW_MS = 5_000;
const LATE = { pickupSeconds: 20, deliverySeconds: 40 };

export type ControlledFakes = Pick<Fakes, 'faults' | 'idempotencyKeys' | 'carrier' | 'ledger' | 'records'>;

/** Creates the switches of the fake external systems. */
export function createSwitches({ faults, idempotencyKeys, carrier }: ControlledFakes): Switch[] {
  const { pickupSeconds, deliverySeconds } = carrier.currentSchedule();

  /** A fault of every charge and refund. Replaces the other faults, because a call gets only one fault. */
  const gatewayFault = (fault: Parameters<typeof faults.add>[0]['fault'], options = {}) => ({
    partner: 'Payment gateway' as const,
    isExclusive: true as const,
    isOn: () => faults.permanent('charge').some((permanent) => permanent.fault === fault),
    turnOn: () => {
      for (const on of GATEWAY_CALLS) {
        faults.clearPermanent(on);
        faults.add({ on, fault, times: -1, ...options });
      }
    },
    turnOff: () => {
      for (const on of GATEWAY_CALLS) faults.clearPermanent(on);
    },
  });

  return [
    {
      ...gatewayFault('lose-response'),
      name: 'gateway-loses-answers',
      title: 'Loses its answers',
      explanation: 'The gateway charges or refunds, and closes the connection without an answer.',
    },
    {
      ...gatewayFault('slow', { delayMs: SLOW_MS }),
      name: 'gateway-is-slow',
      title: 'Is slow',
      explanation: `The gateway charges or refunds at once, and answers after ${SLOW_MS / 1_000} seconds.`,
    },
    {
      ...gatewayFault('error', { status: 500, code: null }),
      name: 'gateway-answers-500',
      title: 'Answers 500',
      explanation: 'The gateway neither charges nor refunds, and answers each call with 500.',
    },
    {
      name: 'gateway-forgets-keys',
      partner: 'Payment gateway',
      title: 'Forgets idempotency keys',
      explanation:
        'The gateway and the carrier break their promise to keep a key for 24 hours: a repeated call counts as a new call. If the gateway also loses its answers, each repeated call charges again.',
      isOn: () => idempotencyKeys.retentionSeconds === 0,
      turnOn: () => (idempotencyKeys.retentionSeconds = 0),
      turnOff: () => (idempotencyKeys.retentionSeconds = DEFAULT_RETENTION_SECONDS),
    },
    {
      name: 'carrier-is-silent',
      partner: 'Carrier',
      title: 'Is silent',
      explanation: 'The carrier moves the parcels, and sends its reports only when it is back to normal.',
      isOn: () => carrier.currentSchedule().silent,
      turnOn: () => carrier.configure({ silent: true }),
      turnOff: () => carrier.configure({ silent: false }),
    },
    {
      name: 'carrier-reports-late',
      partner: 'Carrier',
      title: 'Reports late',
      explanation: `The carrier reports the pickup after ${LATE.pickupSeconds} seconds and the delivery after ${LATE.deliverySeconds} seconds.`,
      isOn: () => carrier.currentSchedule().deliverySeconds === LATE.deliverySeconds,
      turnOn: () => carrier.configure(LATE),
      turnOff: () => carrier.configure({ pickupSeconds, deliverySeconds }),
    },
  ];
}
