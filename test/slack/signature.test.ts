import { expect, test } from 'vitest';
import { findSignatureProblem, signSlackRequest } from '../../src/slack/signature.js';

// cspell:disable-next-line
const SECRET = '8f742231b10e8888abcd99yyyzzz85a5';
const NOW = new Date('2026-03-01T09:30:00.000Z');
const TIMESTAMP = String(NOW.getTime() / 1_000);
const rawBody = Buffer.from('payload=%7B%22type%22%3A%22block_actions%22%7D');

const check = (overrides: Record<string, unknown> = {}, secrets = [SECRET]) =>
  findSignatureProblem(
    secrets,
    { timestamp: TIMESTAMP, signature: signSlackRequest(SECRET, TIMESTAMP, rawBody), rawBody, ...overrides },
    NOW,
  );

// The example in Slack's documentation of signed requests.
test('signs the example request of Slack as Slack does', () => {
  const body =
    // cspell:disable-next-line
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c';
  expect(signSlackRequest(SECRET, '1531420618', body)).toBe(
    'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  );
});

test('accepts a signature of a secret that is being replaced', () => {
  expect(check()).toBeUndefined();
  expect(check({}, ['another-secret-of-32-characters-0', SECRET])).toBeUndefined();
});

test.each([
  ['another body', { rawBody: Buffer.from('payload=%7B%7D') }],
  ['another timestamp', { timestamp: String(Number(TIMESTAMP) - 1) }],
  ['a truncated signature', { signature: signSlackRequest(SECRET, TIMESTAMP, rawBody).slice(0, -1) }],
  ['no signature', { signature: undefined }],
  ['no timestamp', { timestamp: undefined }],
  ['a timestamp with a fraction', { timestamp: `${TIMESTAMP}.5` }],
])('rejects a request with %s', (_what, overrides) => {
  expect(check(overrides)).toBeDefined();
});

test.each([
  [-301, false],
  [-300, true],
  [300, true],
  [301, false],
])('a request signed %i seconds from now is accepted: %s', (offset, isAccepted) => {
  const timestamp = String(Number(TIMESTAMP) + offset);
  const signature = signSlackRequest(SECRET, timestamp, rawBody);
  expect(check({ timestamp, signature }) === undefined).toBe(isAccepted);
});

test('rejects every request when no secret is configured', () => {
  expect(check({}, [])).toBe('no signing secret of Slack is configured');
});
