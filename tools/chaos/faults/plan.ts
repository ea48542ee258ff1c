import { KILLABLE_PROCESSES, type KillableProcess } from '../../stack/kill-process.js';
import { NETWORK_LINKS, type NetworkLink } from '../../stack/network-links.js';
import type { Latency } from './tcp-proxy.js';
import { SeededRandom } from '../random.js';

/** PostgreSQL is missing because it consists of many processes. A blackhole on its link has the same effect. */
export const FREEZABLE_PROCESSES = ['worker', 'api', 'temporal'] as const;

/** A fault. `forMs` is the duration of a lasting fault. */
export type Fault =
  | { kind: 'kill'; process: KillableProcess }
  | { kind: 'freeze'; process: (typeof FREEZABLE_PROCESSES)[number]; forMs: number }
  | { kind: 'reset'; link: NetworkLink }
  | { kind: 'refuse'; link: NetworkLink; forMs: number }
  | { kind: 'delay'; link: NetworkLink; forMs: number; latency: Latency }
  | { kind: 'blackhole'; link: NetworkLink; forMs: number };

export interface PlannedFault {
  /** The delay after the recovery from the previous fault. Therefore two outages never overlap. */
  afterMs: number;
  fault: Fault;
}

/** The faults of one round. A round kills each process once and injects each other kind of fault once. */
const FAULT_ROUND = [...KILLABLE_PROCESSES, 'freeze', 'reset', 'refuse', 'delay', 'blackhole'] as const;

/** The number of faults in a round. */
export const FAULTS_PER_ROUND = FAULT_ROUND.length;

export interface PlanOptions {
  seed: number;
  seconds: number;
  /** The network links of the shop. */
  links?: readonly NetworkLink[];
}

/**
 * Plans the faults of a run. The plan depends only on the seed and the duration, and contains more faults than fit into
 * the duration. Each round of nine kills each process once and injects each other kind of fault once, in random order.
 * Over several rounds, every link and every process is a target.
 */
export function planFaults({ seed, seconds, links = NETWORK_LINKS }: PlanOptions): PlannedFault[] {
  const random = new SeededRandom(seed).fork('faults');
  const { restMs, longestMs } = faultTiming(seconds);
  const processes = new ShuffledCycle(FREEZABLE_PROCESSES, random.fork('freeze'));
  const linkCycles = new Map(
    (['reset', 'refuse', 'delay', 'blackhole'] as const).map((kind) => [
      kind,
      new ShuffledCycle(links, random.fork(kind)),
    ]),
  );
  const lasting = () => ({ forMs: random.integer(Math.ceil(longestMs / 4), longestMs) });

  const faultOf = (entry: (typeof FAULT_ROUND)[number]): Fault => {
    if (entry === 'freeze') return { kind: entry, process: processes.next(), ...lasting() };
    const linkCycle = linkCycles.get(entry as Exclude<Fault['kind'], 'kill' | 'freeze'>);
    if (!linkCycle) return { kind: 'kill', process: entry as (typeof KILLABLE_PROCESSES)[number] };
    const link = linkCycle.next();
    if (entry === 'reset') return { kind: entry, link };
    if (entry === 'delay') return { kind: entry, link, ...lasting(), latency: randomLatency(random) };
    return { kind: entry as 'refuse' | 'blackhole', link, ...lasting() };
  };
  const rounds = Math.ceil((seconds * 1000) / restMs / FAULTS_PER_ROUND) + 1;
  return Array.from({ length: rounds }, () => shuffle(FAULT_ROUND, random)).flatMap((round) =>
    round.map((entry) => ({ afterMs: random.integer(restMs, 2 * restMs), fault: faultOf(entry) })),
  );
}

/**
 * Scales pauses and faults with the duration of the run. In a longer run, the pauses are long enough that no process
 * dies more often than its supervisor allows (five times a minute). A lasting fault can then exceed the workflow task
 * timeout of ten seconds.
 */
function faultTiming(seconds: number): { restMs: number; longestMs: number } {
  const shareMs = (seconds * 1000) / FAULTS_PER_ROUND;
  return {
    restMs: Math.ceil(Math.min(Math.max(shareMs / 3, 300), 2_000)),
    longestMs: Math.ceil(Math.min(Math.max(shareMs / 2, 1_200), 12_000)),
  };
}

function randomLatency(random: SeededRandom): Latency {
  return { latencyMs: random.integer(20, 200), jitterMs: random.integer(10, 100) };
}

/** Returns all items once in random order, then again in a new order. */
class ShuffledCycle<Item> {
  readonly #items: readonly Item[];
  readonly #random: SeededRandom;
  #left: Item[] = [];

  constructor(items: readonly Item[], random: SeededRandom) {
    this.#items = items;
    this.#random = random;
  }

  next(): Item {
    if (this.#left.length === 0) this.#left = shuffle(this.#items, this.#random);
    return this.#left.pop()!;
  }
}

function shuffle<T>(items: readonly T[], random: SeededRandom): T[] {
  return items
    .map((item) => ({ item, at: random.number() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
