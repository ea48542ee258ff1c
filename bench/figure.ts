import { percentile } from '../dev/percentile.js';

/** Something that was measured beside something else, in turn, in one run. What counts is the ratio of the two. */
export interface Figure {
  /** What was measured, and of whom: `orders a second: through HTTP`. */
  name: string;
  /** What it is compared with. */
  base: string;
  unit: string;
  better: 'more' | 'less';
  /** How many orders, calls or items each of the values is of. */
  of: number;
  /** One of each round. */
  values: number[];
  /** Of the base, in the same rounds. */
  baseValues: number[];
}

/** A figure as it is shown: the median of the rounds, and how far apart they were. */
export interface Summary {
  ratio: number;
  lowest: number;
  highest: number;
  value: number;
  baseValue: number;
  rounds: number;
  verdict: 'better' | 'worse' | 'neither';
}

/** Values of each round, by who was measured; the first is the base. */
export type Measured = Record<string, number[]>;

/** Figures of all others beside the first. Values have four digits from here on, so that whoever computes with them agrees. */
export function besideFirst(
  measured: Measured,
  { what, ...rest }: { what: string } & Pick<Figure, 'unit' | 'better' | 'of'>,
): Figure[] {
  const [[base, baseValues], ...others] = Object.entries(measured) as [[string, number[]], ...[string, number[]][]];
  return others.map(([name, values]) => {
    if (values.length === 0 || values.length !== baseValues.length)
      throw new Error(`${what}: ${name} has ${values.length} rounds, ${base} has ${baseValues.length}`);
    return {
      ...{ name: `${what}: ${name}`, base, ...rest },
      ...{ values: values.map(rounded), baseValues: baseValues.map(rounded) },
    };
  });
}

/** Adds the value of a round. */
export function note(measured: Measured, name: string, value: number): void {
  (measured[name] ??= []).push(value);
}

/** Each round's ratio to the base of that round: what drifts from round to round falls out. */
export function summaryOf({ values, baseValues, better }: Figure): Summary {
  const ratios = values.map((value, round) => value / baseValues[round]!);
  const [lowest, highest] = [Math.min(...ratios), Math.max(...ratios)];
  const [above, below] = better === 'more' ? (['better', 'worse'] as const) : (['worse', 'better'] as const);
  return {
    ...{ ratio: median(ratios), lowest, highest },
    ...{ value: median(values), baseValue: median(baseValues), rounds: values.length },
    verdict: lowest > 1 ? above : highest < 1 ? below : 'neither',
  };
}

/** Three digits at least, as many as a ratio is worth. */
export function shown(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

export const median = (values: number[]): number => percentile(values, 0.5);

const rounded = (value: number): number => Number(value.toPrecision(4));
