import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCase } from '../../../tools/contract/contract-case.js';
import { notificationCases } from '../../../tools/contract/notifications/cases.js';
import {
  startMailPartner,
  startSlackPartner,
  startWebhookPartner,
} from '../../../tools/contract/notifications/fake-partners.js';
import type { NotificationPartner } from '../../../tools/contract/notifications/partner.js';
import { suites } from '../../../tools/contract/suites.js';

const CASE_TIMEOUT_MS = 60_000;

describe.each([
  ['mail', startMailPartner, 10],
  ['webhook', startWebhookPartner, 11],
  ['slack', startSlackPartner, notificationCases.length],
])('the notifier %s to the fakes', (_name, startPartner, keptCount) => {
  let partner: NotificationPartner;
  beforeAll(async () => {
    partner = await startPartner();
  });
  afterAll(async () => {
    await partner.close?.();
  });
  const possibleCases = () => notificationCases.filter(({ missing }) => missing(partner) === undefined);

  for (const contractCase of notificationCases) {
    const { title } = contractCase;
    test.concurrent(title, { timeout: CASE_TIMEOUT_MS }, async () => {
      const isPossible = possibleCases().includes(contractCase);
      expect(await runCase(contractCase, partner)).toMatchObject({ title, outcome: isPossible ? 'kept' : 'not tried' });
    });
  }

  test('the fake can provoke the cases', () => {
    expect(possibleCases()).toHaveLength(keptCount);
  });
});

describe('the contract suite of notifications', () => {
  let partner: NotificationPartner;
  beforeAll(async () => {
    partner = await startSlackPartner();
  });
  afterAll(async () => {
    await partner.close?.();
  });
  const resultOf = (title: string, changes: Partial<NotificationPartner>) =>
    runCase(
      notificationCases.find((contractCase) => contractCase.title === title)!,
      { ...partner, ...changes },
    );
  type Send = ReturnType<NotificationPartner['createNotifier']>['send'];
  const changedNotifier = (change: (send: Send) => Send): Partial<NotificationPartner> => ({
    createNotifier: (approver) => {
      const { channel, send } = partner.createNotifier(approver);
      return { channel, send: change(send) };
    },
  });

  test.each<[string, (send: Send) => Send, string]>([
    [
      'gives a repeated message the same identity, so that a duplicate is harmless',
      (send) => (message, options) => send({ ...message, firstRunId: `run-${Math.random()}` }, options),
      'Expected values to be strictly equal',
    ],
    [
      'reports a rejected message as final',
      (send) => (message, options) => send(message, options).catch(() => undefined),
      'expected SlackRejected',
    ],
    [
      'reports a rate limit as unavailable, with the delay of Retry-After',
      (send) => (message, options) => send(message, options).catch(() => send(message, options)),
      'expected SlackUnavailable',
    ],
  ])('reports a notifier that breaks the promise "%s"', async (title, change, message) => {
    expect(await resultOf(title, changedNotifier(change))).toMatchObject({
      outcome: 'broken',
      error: { message: expect.stringContaining(message) },
    });
  });

  test('reports a message with the texts of the requester as markup', async () => {
    const receivedBy: NotificationPartner['receivedBy'] = async (approver) =>
      (await partner.receivedBy(approver)).map((message) => ({ ...message, markup: message.text }));
    const title = 'shows the texts of the requester without interpreting them';
    expect(await resultOf(title, { receivedBy })).toMatchObject({ outcome: 'broken' });
  });

  test('reports interactions that the API accepts without the right signature', async () => {
    const { secrets, sign } = partner.interactions!;
    const interactions: NotificationPartner['interactions'] = {
      secrets,
      sign: (payload, { sentAt }) => sign(payload, { sentAt }),
    };
    expect(await resultOf('rejects a forged interaction', { interactions })).toMatchObject({ outcome: 'broken' });
  });

  test('stops with one line for an unknown channel', async () => {
    await expect(suites.notifications.prepare({ CHANNEL: 'fax' })).rejects.toThrow(
      'CHANNEL: must be mail, webhook or slack, got "fax" (example: CHANNEL=slack)',
    );
  });
});
