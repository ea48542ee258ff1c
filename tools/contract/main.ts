import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runConcurrently } from '../../src/async/concurrency.js';
import { withTimeout } from '../../src/async/promises.js';
import { inheritedEnvironment } from '../settings/environment.js';
import { createReporter } from '../terminal/reporter.js';
import { runCase, type CaseResult } from './contract-case.js';
import { paymentCases } from './payments/cases.js';
import { startFakeStripe, startPlainPartner } from './payments/fake-partners.js';
import type { PaymentPartner } from './payments/partner.js';
import { createStripePartner } from './payments/stripe-partner.js';

const USAGE = `Usage: npm run contract -- payments [<file>]

Checks the promises of the port PaymentGateway. PAYMENTS=plain (the default) or PAYMENTS=stripe chooses the adapter.
With STRIPE_SECRET_KEY=sk_test_…, the Stripe adapter runs against Stripe, otherwise against the fake Stripe.
<file> is a module that exports the function "createPartner", which returns a PaymentPartner of your own.`;

const MAX_CONCURRENT_CASES = 10;

/** A case that was broken off can leave an open call, for which the partner may wait. */
const CLOSE_TIMEOUT_MS = 10_000;

const { print } = createReporter();

/**
 * `npm run contract -- payments`: checks that an adapter keeps the promises of its port. Exits with code 1 if the
 * adapter breaks one, and with code 2 if the arguments are wrong.
 */
const [port, file, ...rest] = process.argv.slice(2);
if (port !== 'payments' || rest.length > 0) {
  print(USAGE);
  process.exit(2);
}

const partner = await choosePartner();
print(`The promises of PaymentGateway, kept by ${partner.name}:\n`);
const results: CaseResult[] = [];
await runConcurrently(paymentCases.length, partner.concurrency ?? MAX_CONCURRENT_CASES, async (n) => {
  const result = await runCase(paymentCases[n]!, partner);
  printResult(result);
  results.push(result);
});
await withTimeout(Promise.resolve(partner.close?.()), CLOSE_TIMEOUT_MS, () => print('\nThe partner did not close.'));

const count = (outcome: CaseResult['outcome']) => results.filter((result) => result.outcome === outcome).length;
print(`\n${count('kept')} kept, ${count('broken')} broken, ${count('not tried')} not tried.`);
process.exit(count('broken') > 0 ? 1 : 0);

async function choosePartner(): Promise<PaymentPartner> {
  if (file !== undefined) {
    const module = (await import(pathToFileURL(resolve(file)).href)) as {
      createPartner?: () => PaymentPartner | Promise<PaymentPartner>;
    };
    if (!module.createPartner) return fail(`${file}: must export the function createPartner`);
    return await module.createPartner();
  }
  const { PAYMENTS = 'plain', STRIPE_SECRET_KEY, STRIPE_API_URL } = inheritedEnvironment();
  if (PAYMENTS === 'plain') return await startPlainPartner();
  if (PAYMENTS !== 'stripe')
    return fail(`PAYMENTS: must be plain or stripe, got "${PAYMENTS}" (example: PAYMENTS=stripe)`);
  if (!STRIPE_SECRET_KEY) return await startFakeStripe();
  if (!/^(sk|rk)_test_/.test(STRIPE_SECRET_KEY))
    return fail('STRIPE_SECRET_KEY: must be a key of the test mode (example: STRIPE_SECRET_KEY=sk_test_51…)');
  return createStripePartner({
    secretKey: STRIPE_SECRET_KEY,
    apiUrl: STRIPE_API_URL || 'https://api.stripe.com',
  });
}

function printResult(result: CaseResult): void {
  if (result.outcome === 'kept') print(`  kept       ${result.title}`);
  else if (result.outcome === 'not tried') print(`  not tried  ${result.title}: ${result.reason}`);
  else print(`  BROKEN     ${result.title}\n             ${result.error.message.replaceAll('\n', '\n             ')}`);
}

function fail(problem: string): never {
  print(problem);
  process.exit(2);
}
