import { withTimeout } from '../../src/async/promises.js';

/** A case makes a few calls, which end within 15 seconds each. */
const DEFAULT_TIME_LIMIT_MS = 120_000;

/** A promise of a port, with the calls that show whether an adapter keeps it. */
export interface ContractCase<Partner> {
  title: string;
  /** Returns what the case needs and the partner cannot provoke, or undefined. */
  missing: (partner: Partner) => string | undefined;
  /** @throws when the adapter breaks the promise. */
  run: (partner: Partner) => Promise<void>;
}

/** Calls that a partner keeps waiting. */
export interface HeldCalls {
  /** Resolves when the held call has arrived at the partner. */
  arrived: Promise<void>;
  /** Lets the held call take effect. Resolves when it has. */
  release: () => Promise<void>;
}

export type CaseResult =
  | { title: string; outcome: 'kept' }
  | { title: string; outcome: 'not tried'; reason: string }
  | { title: string; outcome: 'broken'; error: Error };

/** Returns the words for the first of these methods that the partner does not have, or undefined. */
export function findMissing<Partner, Method extends keyof Partner>(
  partner: Partner,
  words: Record<Method, string>,
  methods: readonly Method[] = [],
): string | undefined {
  const missing = methods.find((method) => partner[method] === undefined);
  return missing === undefined ? undefined : words[missing];
}

/** Runs one case. A case that does not end within the time limit of the partner is broken. */
export async function runCase<Partner extends { caseTimeLimitMs?: number }>(
  { title, missing, run }: ContractCase<Partner>,
  partner: Partner,
): Promise<CaseResult> {
  const need = missing(partner);
  if (need !== undefined) return { title, outcome: 'not tried', reason: `the partner cannot ${need}` };
  const timeLimitMs = partner.caseTimeLimitMs ?? DEFAULT_TIME_LIMIT_MS;
  try {
    await withTimeout(run(partner), timeLimitMs, () => {
      throw new Error(`the case did not end within ${timeLimitMs / 1_000} s`);
    });
    return { title, outcome: 'kept' };
  } catch (error) {
    return { title, outcome: 'broken', error: error as Error };
  }
}
