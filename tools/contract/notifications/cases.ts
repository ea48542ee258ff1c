import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { ApproverMail } from '../../../src/activities/approver-messages.js';
import { HttpProblem } from '../../../src/api/problems/http-problem.js';
import { hashBody, readInteraction } from '../../../src/api/callbacks/slack/signed-interaction.js';
import { assertFails, assertTimesOut, runAttempt } from '../attempts.js';
import { findMissing, type ContractCase } from '../contract-case.js';
import type { MessageFault, NotificationPartner, ReceivedMessage, SignedInteraction } from './partner.js';

/** The start-to-close timeout of the activities that send messages. */
const MAX_SEND_MS = 30_000;

const PROVOCATIONS = {
  holdNextMessage: 'leave a message unanswered',
  interactions: 'sign interactions',
  hostileTexts: 'interpret markup',
} as const satisfies Partial<Record<keyof NotificationPartner, string>>;

const FAULTS: Record<MessageFault, string> = {
  'lost response': 'lose a response',
  unavailable: 'be unavailable',
  'rate limited': 'limit the rate',
  rejected: 'reject a message',
  unauthorized: 'reject the credentials',
  garbled: 'answer with an unknown body',
};

interface Needs {
  fault?: MessageFault;
  provocation?: keyof typeof PROVOCATIONS;
}

type Run = (trial: Trial, partner: NotificationPartner) => Promise<void>;

function promise(title: string, { fault, provocation }: Needs, run: Run): ContractCase<NotificationPartner> {
  return {
    title,
    missing: (partner) =>
      fault !== undefined && partner.faults?.[fault] === undefined
        ? FAULTS[fault]
        : findMissing(partner, PROVOCATIONS, provocation ? [provocation] : []),
    run: (partner) => run(new Trial(partner), partner),
  };
}

/** One approver with a notifier of its own. Runs each call like an attempt of an activity. */
class Trial {
  readonly approver = `approver-${randomUUID()}`;
  readonly unavailable: { type: string; isFinal: boolean };
  readonly #partner: NotificationPartner;

  constructor(partner: NotificationPartner) {
    this.#partner = partner;
    this.unavailable = { type: partner.failures.unavailable, isFinal: false };
  }

  /** @returns the reference of the message. */
  send(changes: Partial<ApproverMail> = {}, request?: string): Promise<string | undefined> {
    const message: ApproverMail = {
      approvalId: 'roaster',
      firstRunId: 'run-1',
      title: 'Buy a new roaster?',
      requestedBy: 'ada',
      amount: { value: 129_900, currency: 'EUR' },
      stage: 1,
      stages: 2,
      approver: this.approver,
      reminderNumber: 0,
      deadline: new Date(Date.now() + 3_600_000).toISOString(),
      ...changes,
    };
    const id = `msg-${message.stage}-${message.reminderNumber}`;
    const notifier = this.#partner.createNotifier(this.approver);
    return runAttempt(() => notifier.send(message, { id, request }));
  }

  provoke(fault: MessageFault): Promise<void> {
    return this.#partner.faults![fault]!(this.approver);
  }

  received(): Promise<ReceivedMessage[]> {
    return this.#partner.receivedBy(this.approver);
  }

  async assertReceived(count: number): Promise<void> {
    assert.equal((await this.received()).length, count, 'the number of messages that the approver got');
  }
}

/** The promises of the port `Notifier`. Every case has an approver of its own. */
export const notificationCases: readonly ContractCase<NotificationPartner>[] = [
  promise('sends the request with its title, its requester and its description', {}, async (trial) => {
    await trial.send({ description: 'The old roaster is broken.' });
    const [message, ...more] = await trial.received();
    assert.deepEqual(more, []);
    for (const part of ['Buy a new roaster?', 'ada', 'The old roaster is broken.'])
      assert.ok(message!.text.includes(part), `the message contains "${part}"`);
  }),

  promise('gives a repeated message the same identity, so that a duplicate is harmless', {}, async (trial) => {
    await trial.send();
    await trial.send();
    const [first, second] = await trial.received();
    assert.ok(first!.identity, 'the message has an identity');
    if (second) assert.equal(second.identity, first!.identity);
  }),

  promise('gives the message of another stage another identity', {}, async (trial) => {
    await trial.send();
    await trial.send({ stage: 2 });
    const [first, second] = await trial.received();
    assert.notEqual(second!.identity, first!.identity);
  }),

  promise('sends a reminder', {}, async (trial) => {
    const request = await trial.send();
    await trial.send({ reminderNumber: 1 }, request);
    const [, reminder] = await trial.received();
    assert.ok(reminder!.text.includes('Buy a new roaster?'), 'the reminder contains the title');
  }),

  promise(
    'sends the message again with the same identity when the response is lost',
    { fault: 'lost response' },
    async (trial) => {
      await trial.provoke('lost response');
      await assertFails(trial.send(), trial.unavailable);
      await trial.send();
      const identities = new Set((await trial.received()).map(({ identity }) => identity));
      assert.equal(identities.size, 1, 'the number of different identities');
    },
  ),

  promise('repeats a message when the channel is unavailable', { fault: 'unavailable' }, async (trial) => {
    await trial.provoke('unavailable');
    await assertFails(trial.send(), trial.unavailable);
    await trial.assertReceived(0);
    await trial.send();
    await trial.assertReceived(1);
  }),

  promise(
    'reports a rate limit as unavailable, with the delay of Retry-After',
    { fault: 'rate limited' },
    async (trial, { retryAfterMs }) => {
      await trial.provoke('rate limited');
      const failure = await assertFails(trial.send(), trial.unavailable);
      assert.equal(failure.nextRetryDelay, retryAfterMs, 'the retry delay');
      await trial.send();
      await trial.assertReceived(1);
    },
  ),

  promise('reports a rejected message as final', { fault: 'rejected' }, async (trial, { failures }) => {
    await trial.provoke('rejected');
    await assertFails(trial.send(), { type: failures.rejected, isFinal: true });
    await trial.assertReceived(0);
  }),

  promise(
    'reports wrong credentials as misconfigured, so that an operator can correct them',
    { fault: 'unauthorized' },
    async (trial, { failures }) => {
      await trial.provoke('unauthorized');
      await assertFails(trial.send(), { type: failures.misconfigured!, isFinal: false });
      await trial.send();
      await trial.assertReceived(1);
    },
  ),

  promise('repeats a message whose response cannot be read', { fault: 'garbled' }, async (trial) => {
    await trial.provoke('garbled');
    await assertFails(trial.send(), trial.unavailable);
    await trial.send();
  }),

  promise(
    'ends an attempt in time when the channel does not answer',
    { provocation: 'holdNextMessage' },
    async (trial, partner) => {
      await partner.holdNextMessage!(trial.approver);
      await assertTimesOut(() => trial.send(), trial.unavailable, MAX_SEND_MS);
    },
  ),

  promise(
    'shows the texts of the requester without interpreting them',
    { provocation: 'hostileTexts' },
    async (trial, { hostileTexts = [] }) => {
      const description = hostileTexts.join('\n');
      await trial.send({ title: `Title ${hostileTexts[0]}`, description });
      const [message] = await trial.received();
      for (const text of hostileTexts) {
        assert.ok(message!.text.includes(text), `the message does not show ${JSON.stringify(text)}`);
        assert.ok(!message!.markup?.includes(text), `the markup of the message contains ${JSON.stringify(text)}`);
      }
    },
  ),

  promise('sends texts of the greatest length', {}, async (trial) => {
    await trial.send({ title: '<'.repeat(200), description: '&'.repeat(2_000) });
    await trial.assertReceived(1);
  }),

  interactionCase('accepts a signed interaction', (receive, sign) => {
    assert.equal(typeof receive(sign({ type: 'click' })), 'string');
  }),
  interactionCase('recognizes a repeated delivery of an interaction', (receive, sign) => {
    const first = receive(sign({ type: 'click' }, { ageSeconds: 2 }));
    assert.equal(receive(sign({ type: 'click' })), first, 'the key of the repeated delivery');
    assert.notEqual(receive(sign({ type: 'another click' })), first, 'the key of another interaction');
  }),
  interactionCase('rejects an interaction that is older than five minutes', (receive, sign) => {
    assert.equal(receive(sign({ type: 'click' }, { ageSeconds: 301 })), undefined);
  }),
  interactionCase('rejects a forged interaction', (receive, sign) => {
    const signed = sign({ type: 'click' });
    const forgeries: Record<string, SignedInteraction> = {
      'another secret': sign({ type: 'click' }, { secret: 'another-secret-of-32-characters-0' }),
      'another body': { ...signed, body: sign({ type: 'another click' }).body },
      'no signature': { ...signed, headers: {} },
    };
    for (const [kind, forgery] of Object.entries(forgeries))
      assert.equal(receive(forgery), undefined, `an interaction with ${kind}`);
  }),
];

/** @param run gets a function that returns the key of an interaction, or undefined if the API rejects it. */
function interactionCase(
  title: string,
  run: (
    receive: (interaction: SignedInteraction) => string | undefined,
    sign: (payload: object, options?: { ageSeconds?: number; secret?: string }) => SignedInteraction,
  ) => void,
): ContractCase<NotificationPartner> {
  return promise(title, { provocation: 'interactions' }, async (_trial, { interactions }) => {
    const { secrets, sign } = interactions!;
    run(
      (interaction) => receiveInteraction(secrets, interaction),
      (payload, { ageSeconds = 0, secret } = {}) =>
        sign(payload, { sentAt: new Date(Date.now() - ageSeconds * 1_000), ...(secret && { secret }) }),
    );
  });
}

/** Verifies an interaction like the API. */
function receiveInteraction(secrets: readonly string[], { headers, body }: SignedInteraction): string | undefined {
  const request = { headers, body: Buffer.from(body) } as unknown as FastifyRequest;
  try {
    readInteraction(secrets, request);
    return hashBody(request);
  } catch (error) {
    if (error instanceof HttpProblem) return undefined;
    throw error;
  }
}
