import { LINKS, type Link } from '../stack/links.js';
import type { Lag } from './proxy.js';
import { Random } from './random.js';

export const KILLED = ['worker', 'api', 'temporal', 'postgres'] as const;

/** Without PostgreSQL, which consists of many processes; a silent link to it has the same effect. */
export const FROZEN = ['worker', 'api', 'temporal'] as const;

/** A fault. `forMs` is the duration of a lasting one. */
export type Fault =
  | { kind: 'kill'; part: (typeof KILLED)[number] }
  | { kind: 'freeze'; part: (typeof FROZEN)[number]; forMs: number }
  | { kind: 'cut'; link: Link }
  | { kind: 'refuse'; link: Link; forMs: number }
  | { kind: 'delay'; link: Link; forMs: number; lag: Lag }
  | { kind: 'swallow'; link: Link; forMs: number };

export interface PlannedFault {
  /** Counted from the moment when the shop has recovered from the previous fault, so two outages never overlap. */
  afterMs: number;
  fault: Fault;
}

/** In each round, each part is killed once, and each other kind of fault hits one target. */
const ROUND = [...KILLED, 'freeze', 'cut', 'refuse', 'delay', 'swallow'] as const;

/** The smallest number of faults that contains each kind, and the kill of each part. */
export const ROUND_LENGTH = ROUND.length;

export interface Circumstances {
  seed: number;
  seconds: number;
  /** The links that exist. */
  links?: readonly Link[];
}

/**
 * The faults of a run, in order, determined by the seed alone: more than fit into the time. In each round of nine, each
 * part is killed once and each other kind of fault happens once. Over the rounds, each link and each part gets its
 * turn.
 */
export function planFaults({ seed, seconds, links = LINKS }: Circumstances): PlannedFault[] {
  const random = new Random(seed).branch('faults');
  const { restMs, longestMs } = timesOf(seconds);
  const parts = new Deck(FROZEN, random.branch('freeze'));
  const decks = new Map(
    (['cut', 'refuse', 'delay', 'swallow'] as const).map((kind) => [kind, new Deck(links, random.branch(kind))]),
  );
  const lasting = () => ({ forMs: random.from(Math.ceil(longestMs / 4), longestMs) });

  const faultOf = (card: (typeof ROUND)[number]): Fault => {
    if (card === 'freeze') return { kind: card, part: parts.next(), ...lasting() };
    const deck = decks.get(card as Exclude<Fault['kind'], 'kill' | 'freeze'>);
    if (!deck) return { kind: 'kill', part: card as (typeof KILLED)[number] };
    const link = deck.next();
    if (card === 'cut') return { kind: card, link };
    if (card === 'delay') return { kind: card, link, ...lasting(), lag: lagOf(random) };
    return { kind: card as 'refuse' | 'swallow', link, ...lasting() };
  };
  const rounds = Math.ceil((seconds * 1000) / restMs / ROUND_LENGTH) + 1;
  return Array.from({ length: rounds }, () => shuffled(ROUND, random)).flatMap((round) =>
    round.map((card) => ({ afterMs: random.from(restMs, 2 * restMs), fault: faultOf(card) })),
  );
}

/**
 * In a short run all times are short. In a longer run the pauses are long enough that no part dies more often than its
 * supervisor allows (five times a minute), and a lasting fault may outlast the ten seconds of a workflow task timeout.
 */
function timesOf(seconds: number): { restMs: number; longestMs: number } {
  const shareMs = (seconds * 1000) / ROUND_LENGTH;
  return {
    restMs: Math.ceil(Math.min(Math.max(shareMs / 3, 300), 2_000)),
    longestMs: Math.ceil(Math.min(Math.max(shareMs / 2, 1_200), 12_000)),
  };
}

function lagOf(random: Random): Lag {
  return { latencyMs: random.from(20, 200), jitterMs: random.from(10, 100) };
}

/** Deals all of its cards in random order before it shuffles and deals them again. */
class Deck<Card> {
  readonly #cards: readonly Card[];
  readonly #random: Random;
  #left: Card[] = [];

  constructor(cards: readonly Card[], random: Random) {
    this.#cards = cards;
    this.#random = random;
  }

  next(): Card {
    if (this.#left.length === 0) this.#left = shuffled(this.#cards, this.#random);
    return this.#left.pop()!;
  }
}

function shuffled<T>(cards: readonly T[], random: Random): T[] {
  return cards
    .map((card) => ({ card, at: random.number() }))
    .sort((a, b) => a.at - b.at)
    .map(({ card }) => card);
}
