import { createHmac, timingSafeEqual } from 'node:crypto';

/** Slack's limit for the age of a request. An older request may be a recorded one. */
const MAX_AGE_SECONDS = 5 * 60;

/** Returns the value of `x-slack-signature` for a request: `v0=` and the HMAC of `v0:timestamp:rawBody` in hex. */
export function signSlackRequest(secret: string, timestamp: string, rawBody: Buffer | string): string {
  return `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:`).update(rawBody).digest('hex')}`;
}

/**
 * Checks that Slack signed a request with one of the secrets, at most five minutes ago.
 *
 * @returns the problem, or undefined when the signature is valid.
 */
export function findSignatureProblem(
  secrets: readonly string[],
  { timestamp, signature, rawBody }: { timestamp: unknown; signature: unknown; rawBody: Buffer },
  now: Date,
): string | undefined {
  if (secrets.length === 0) return 'no signing secret of Slack is configured';
  if (typeof timestamp !== 'string' || typeof signature !== 'string') {
    return 'x-slack-request-timestamp or x-slack-signature is missing';
  }
  const ageSeconds = now.getTime() / 1_000 - Number(timestamp);
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(ageSeconds) > MAX_AGE_SECONDS) {
    return 'x-slack-request-timestamp must be within five minutes of the current time';
  }
  const given = Buffer.from(signature);
  const isValid = secrets.some((secret) => {
    const expected = Buffer.from(signSlackRequest(secret, timestamp, rawBody));
    return expected.length === given.length && timingSafeEqual(expected, given);
  });
  return isValid ? undefined : 'x-slack-signature does not match the body';
}
