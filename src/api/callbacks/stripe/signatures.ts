import { WebhookVerificationError } from 'standardwebhooks';
import type { SignatureVerifier } from '../signed-body.js';

/** How far the timestamp of a signature may be from the current time, as Stripe and Standard Webhooks recommend. */
const TOLERANCE_SECONDS = 300;

const PROBLEM = 'the stripe-signature is missing or invalid, or its timestamp is more than five minutes away';

/** Creates a verifier for each secret. Loads the package of Stripe only if there is a secret. */
export async function createStripeVerifiers(secrets: readonly string[]): Promise<SignatureVerifier[]> {
  if (secrets.length === 0) return [];
  const { default: Stripe } = await import('stripe');
  return secrets.map((secret) => ({
    verify(body, headers) {
      const header = headers['stripe-signature'] ?? '';
      try {
        // Checks all signatures of the header, because Stripe signs with both secrets while a secret is rolled.
        Stripe.webhooks.signature!.verifyHeader(body, header, secret, TOLERANCE_SECONDS);
      } catch {
        // Some unreadable headers cause other errors than `StripeSignatureVerificationError`.
        throw new WebhookVerificationError(PROBLEM);
      }
      // `verifyHeader` accepts every time in the future.
      if (timestampOf(header) > Date.now() / 1_000 + TOLERANCE_SECONDS) throw new WebhookVerificationError(PROBLEM);
    },
  }));
}

/** The signed timestamp of a valid header. `verifyHeader` uses the last one too. */
function timestampOf(header: string): number {
  const timestamps = header.split(',').filter((part) => part.startsWith('t='));
  return Number.parseInt(timestamps.at(-1)?.slice(2) ?? '', 10);
}
