import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from './usage-error.js';
import { runCase, type CaseResult, type ContractCase } from './contract-case.js';
import { notificationCases } from './notifications/cases.js';
import { chooseNotificationPartner } from './notifications/choose-partner.js';
import { paymentCases } from './payments/cases.js';
import { choosePaymentPartner } from './payments/choose-partner.js';
import { shippingCases } from './shipping/cases.js';
import { chooseCarrierPartner } from './shipping/choose-partner.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the cases of every port expect of a partner. */
interface AnyPartner {
  name: string;
  concurrency?: number;
  caseTimeLimitMs?: number;
  close?: () => Promise<void>;
}

/** The cases of a port against one partner. */
export interface SuiteRun {
  partner: AnyPartner;
  cases: readonly (() => Promise<CaseResult>)[];
}

interface Suite {
  /** The name of the port in the code. */
  port: string;
  /** How to choose the adapter. */
  adapters: string;
  /** @param file a module that exports `createPartner`. Without it, the environment chooses a partner. */
  prepare: (env: Environment, file?: string) => Promise<SuiteRun>;
}

function defineSuite<Partner extends AnyPartner>(suite: {
  port: string;
  adapters: string;
  cases: readonly ContractCase<Partner>[];
  choosePartner: (env: Environment) => Promise<Partner>;
}): Suite {
  const { port, adapters, cases, choosePartner } = suite;
  return {
    port,
    adapters,
    async prepare(env, file) {
      const partner = file === undefined ? await choosePartner(env) : await importPartner<Partner>(file);
      return { partner, cases: cases.map((contractCase) => () => runCase(contractCase, partner)) };
    },
  };
}

/** The ports by the name that the command takes. */
export const suites = {
  payments: defineSuite({
    port: 'PaymentGateway',
    adapters:
      'PAYMENTS=plain (the default) or PAYMENTS=stripe. With STRIPE_SECRET_KEY=sk_test_…, the Stripe adapter runs\n' +
      'against Stripe, otherwise against the fake Stripe.',
    cases: paymentCases,
    choosePartner: choosePaymentPartner,
  }),
  shipping: defineSuite({
    port: 'Carrier',
    adapters: 'CARRIER=plain (the default), against the fake carrier.',
    cases: shippingCases,
    choosePartner: chooseCarrierPartner,
  }),
  notifications: defineSuite({
    port: 'Notifier',
    adapters: 'CHANNEL=mail (the default), CHANNEL=webhook or CHANNEL=slack, against the fakes.',
    cases: notificationCases,
    choosePartner: chooseNotificationPartner,
  }),
} satisfies Record<string, Suite>;

async function importPartner<Partner>(file: string): Promise<Partner> {
  const module = (await import(pathToFileURL(resolve(file)).href)) as {
    createPartner?: () => Partner | Promise<Partner>;
  };
  if (!module.createPartner) throw new UsageError(`${file}: must export the function createPartner`);
  return await module.createPartner();
}
