import { expect, test } from 'vitest';
import { messageIdOf } from '../../src/activities/approver-messages.js';

const message = { approvalId: 'a', firstRunId: 'r', stage: 1, approver: 'grace', reminderNumber: 0 };

test('the messages of one approver on different channels have different ids', () => {
  const ids = (['email', 'webhook', 'slack'] as const).map((channel) => messageIdOf(channel, message));
  expect(new Set(ids).size).toBe(3);
});

// A worker of another version must not send a message again.
test('the id of a mail does not change', () => {
  // cspell:disable-next-line
  expect(messageIdOf('email', message)).toBe('msg_ByvzbWwhdhFDS12yvPja2nxw0LkBQ6NgyAH4Dw3QTdE');
});
