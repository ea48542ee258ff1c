import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planFaults, FAULTS_PER_ROUND, type Fault, type PlannedFault } from '../../../tools/chaos/faults/plan.js';
import { KILLABLE_PROCESSES } from '../../../tools/stack/kill-process.js';
import { NETWORK_LINKS } from '../../../tools/stack/network-links.js';

const seeds = fc.integer({ min: 0 });
const lengths = fc.integer({ min: 10, max: 3_600 });

const faultRoundsOf = (plan: PlannedFault[]): Fault[][] =>
  Array.from({ length: plan.length / FAULTS_PER_ROUND }, (_, round) =>
    plan.slice(round * FAULTS_PER_ROUND, (round + 1) * FAULTS_PER_ROUND).map(({ fault }) => fault),
  );

/** Returns the earliest possible start of each fault: the shop needs no time to recover. */
function earliestStarts(plan: PlannedFault[]): { atMs: number; fault: Fault }[] {
  let atMs = 0;
  return plan.map(({ afterMs, fault }) => {
    const begins = atMs + afterMs;
    atMs = begins + ('forMs' in fault ? fault.forMs : 0);
    return { atMs: begins, fault };
  });
}

describe('the fault plan', () => {
  test('planFaults returns the same plan for the same seed, and a different plan for a different seed', () => {
    fc.assert(
      fc.property(seeds, lengths, (seed, seconds) => {
        expect(planFaults({ seed, seconds })).toEqual(planFaults({ seed, seconds }));
      }),
      { numRuns: 20 },
    );
    expect(planFaults({ seed: 1, seconds: 60 })).not.toEqual(planFaults({ seed: 2, seconds: 60 }));
  });

  test('kills each process once per round, and includes every other kind of fault once per round', () => {
    fc.assert(
      fc.property(seeds, lengths, (seed, seconds) => {
        for (const round of faultRoundsOf(planFaults({ seed, seconds }))) {
          const killed = round.flatMap((fault) => (fault.kind === 'kill' ? [fault.process] : []));
          expect(killed.sort()).toEqual([...KILLABLE_PROCESSES].sort());
          const others = round.filter(({ kind }) => kind !== 'kill').map(({ kind }) => kind);
          expect(others.sort()).toEqual(['blackhole', 'delay', 'freeze', 'refuse', 'reset']);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('applies every kind of link fault to all n links within n rounds', () => {
    const rounds = faultRoundsOf(planFaults({ seed: 7, seconds: 1_800 })).slice(0, NETWORK_LINKS.length);
    for (const kind of ['reset', 'refuse', 'delay', 'blackhole']) {
      const links = rounds.flat().flatMap((fault) => (fault.kind === kind && 'link' in fault ? [fault.link] : []));
      expect(links.sort()).toEqual([...NETWORK_LINKS].sort());
    }
  });

  test('the fault plan contains only faults for existing links', () => {
    const plan = planFaults({ seed: 7, seconds: 600, links: ['clients to API'] });
    const links = plan.flatMap(({ fault }) => ('link' in fault ? [fault.link] : []));
    expect(new Set(links)).toEqual(new Set(['clients to API']));
  });

  test('kills no process more often than its supervisor allows', () => {
    fc.assert(
      fc.property(seeds, lengths, (seed, seconds) => {
        const deaths = earliestStarts(planFaults({ seed, seconds })).flatMap(({ atMs, fault }) =>
          fault.kind === 'kill' ? [{ atMs, part: fault.process }] : [],
        );
        for (const { atMs, part } of deaths) {
          const inAMinute = deaths.filter(
            (death) => death.part === part && Math.abs(death.atMs - atMs - 30_000) <= 30_000,
          );
          expect(inAMinute.length).toBeLessThanOrEqual(4);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('the fault plan contains enough faults for the whole run', () => {
    fc.assert(
      fc.property(seeds, lengths, (seed, seconds) => {
        expect(earliestStarts(planFaults({ seed, seconds })).at(-1)!.atMs).toBeGreaterThan(seconds * 1000);
      }),
      { numRuns: 20 },
    );
  });

  test('a short run has only short faults, and a long run has faults longer than a workflow task', () => {
    const createPlan = (seconds: number) =>
      planFaults({ seed: 7, seconds }).flatMap(({ fault }) => ('forMs' in fault ? [fault.forMs] : []));
    expect(Math.max(...createPlan(20))).toBeLessThanOrEqual(1_200);
    expect(Math.max(...createPlan(1_800))).toBeGreaterThan(10_000);
  });
});
