/** A promise of a port, with the calls that show whether an adapter keeps it. */
export interface ContractCase<Partner> {
  title: string;
  /** Returns what the case needs and the partner cannot provoke, or undefined. */
  missing: (partner: Partner) => string | undefined;
  /** @throws when the adapter breaks the promise. */
  run: (partner: Partner) => Promise<void>;
}

export type CaseResult =
  | { title: string; outcome: 'kept' }
  | { title: string; outcome: 'not tried'; reason: string }
  | { title: string; outcome: 'broken'; error: Error };

/** Runs one case. */
export async function runCase<Partner>(
  { title, missing, run }: ContractCase<Partner>,
  partner: Partner,
): Promise<CaseResult> {
  const need = missing(partner);
  if (need !== undefined) return { title, outcome: 'not tried', reason: `the partner cannot ${need}` };
  try {
    await run(partner);
    return { title, outcome: 'kept' };
  } catch (error) {
    return { title, outcome: 'broken', error: error as Error };
  }
}
