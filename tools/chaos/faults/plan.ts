import { NETWORK_LINKS, type NetworkLink } from '../../stack/network-links.js';
import type { Latency } from './tcp-proxy.js';
import { SeededRandom } from '../random.js';

export const KILLABLE_PROCESSES = ['worker', 'api', 'temporal', 'postgres'] as const;

/** Without PostgreSQL, which consists of many processes; a silent link to it has the same effect. */
export const FREEZABLE_PROCESSES = ['worker', 'api', 'temporal'] as const;

/** A fault. `forMs` is the duration of a lasting one. */
export type Fault =
  | { kind: 'kill'; process: (typeof KILLABLE_PROCESSES)[number] }
  | { kind: 'freeze'; process: (typeof FREEZABLE_PROCESSES)[number]; forMs: number }
  | { kind: 'reset'; link: NetworkLink }
  | { kind: 'refuse'; link: NetworkLink; forMs: number }
  | { kind: 'delay'; link: NetworkLink; forMs: number; latency: Latency }
  | { kind: 'blackhole'; link: NetworkLink; forMs: number };

export interface PlannedFault {
  /** Counted from the moment when the shop has recovered from the previous fault, so two outages never overlap. */
  afterMs: number;
  fault: Fault;
}

/** In each round, each part is killed once, and each other kind of fault hits one target. */
const FAULT_CYCLE = [...KILLABLE_PROCESSES, 'freeze', 'reset', 'refuse', 'delay', 'blackhole'] as const;

/** The smallest number of faults that contains each kind, and the kill of each part. */
export const FAULTS_PER_CYCLE = FAULT_CYCLE.length;

export interface PlanOptions {
  seed: number;
  seconds: number;
  /** The links that exist. */
  links?: readonly NetworkLink[];
}

/**
 * The faults of a run, in order, determined by the seed alone: more than fit into the time. In each round of nine, each
 * part is killed once and each other kind of fault happens once. Over the rounds, each link and each part gets its
 * turn.
 */
export function planFaults({ seed, seconds, links = NETWORK_LINKS }: PlanOptions): PlannedFault[] {
  const random = new SeededRandom(seed).fork('faults');
  const { restMs, longestMs } = faultTiming(seconds);
  const processes = new ShuffledCycle(FREEZABLE_PROCESSES, random.fork('freeze'));
  const decks = new Map(
    (['reset', 'refuse', 'delay', 'blackhole'] as const).map((kind) => [
      kind,
      new ShuffledCycle(links, random.fork(kind)),
    ]),
  );
  const lasting = () => ({ forMs: random.integer(Math.ceil(longestMs / 4), longestMs) });

  const faultOf = (card: (typeof FAULT_CYCLE)[number]): Fault => {
    if (card === 'freeze') return { kind: card, process: processes.next(), ...lasting() };
    const deck = decks.get(card as Exclude<Fault['kind'], 'kill' | 'freeze'>);
    if (!deck) return { kind: 'kill', process: card as (typeof KILLABLE_PROCESSES)[number] };
    const link = deck.next();
    if (card === 'reset') return { kind: card, link };
    if (card === 'delay') return { kind: card, link, ...lasting(), latency: randomLatency(random) };
    return { kind: card as 'refuse' | 'blackhole', link, ...lasting() };
  };
  const rounds = Math.ceil((seconds * 1000) / restMs / FAULTS_PER_CYCLE) + 1;
  return Array.from({ length: rounds }, () => shuffle(FAULT_CYCLE, random)).flatMap((round) =>
    round.map((card) => ({ afterMs: random.integer(restMs, 2 * restMs), fault: faultOf(card) })),
  );
}

/**
 * In a short run all times are short. In a longer run the pauses are long enough that no part dies more often than its
 * supervisor allows (five times a minute), and a lasting fault may outlast the ten seconds of a workflow task timeout.
 */
function faultTiming(seconds: number): { restMs: number; longestMs: number } {
  const shareMs = (seconds * 1000) / FAULTS_PER_CYCLE;
  return {
    restMs: Math.ceil(Math.min(Math.max(shareMs / 3, 300), 2_000)),
    longestMs: Math.ceil(Math.min(Math.max(shareMs / 2, 1_200), 12_000)),
  };
}

function randomLatency(random: SeededRandom): Latency {
  return { latencyMs: random.integer(20, 200), jitterMs: random.integer(10, 100) };
}

/** Deals all of its cards in random order before it shuffles and deals them again. */
class ShuffledCycle<Card> {
  readonly #cards: readonly Card[];
  readonly #random: SeededRandom;
  #left: Card[] = [];

  constructor(cards: readonly Card[], random: SeededRandom) {
    this.#cards = cards;
    this.#random = random;
  }

  next(): Card {
    if (this.#left.length === 0) this.#left = shuffle(this.#cards, this.#random);
    return this.#left.pop()!;
  }
}

function shuffle<T>(cards: readonly T[], random: SeededRandom): T[] {
  return cards
    .map((card) => ({ card, at: random.number() }))
    .sort((a, b) => a.at - b.at)
    .map(({ card }) => card);
}
