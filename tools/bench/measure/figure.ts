import { percentile } from './percentile.js';

/** A measurement and its base, measured in turn in one run. Only the ratio of the two matters. */
export interface Figure {
  /** What was measured, and for which contender: `orders a second: through HTTP`. */
  name: string;
  /** The name of the base. */
  base: string;
  unit: string;
  better: 'more' | 'less';
  /** Number of orders, calls or items behind each value. */
  of: number;
  /** One value for each round. */
  values: number[];
  /** The values of the base in the same rounds. */
  baseValues: number[];
}

/** A figure as it is shown: the median of the rounds, and their spread. */
export interface Summary {
  ratio: number;
  lowest: number;
  highest: number;
  value: number;
  baseValue: number;
  rounds: number;
  verdict: 'better' | 'worse' | 'neither';
}

/** Values of each round, by contender; the first contender is the base. */
export type Measured = Record<string, number[]>;

/**
 * Compares all other contenders with the first. Rounds values to four digits, so that anyone who recomputes the ratios
 * gets the same result.
 */
export function besideFirst(
  measured: Measured,
  { what, ...rest }: { what: string } & Pick<Figure, 'unit' | 'better' | 'of'>,
): Figure[] {
  const [[base, baseValues], ...others] = Object.entries(measured) as [[string, number[]], ...[string, number[]][]];
  return others.map(([name, values]) => {
    if (values.length === 0 || values.length !== baseValues.length)
      throw new Error(`${what}: ${name} has ${values.length} rounds, ${base} has ${baseValues.length}`);
    return {
      name: `${what}: ${name}`,
      base,
      ...rest,
      values: values.map(rounded),
      baseValues: baseValues.map(rounded),
    };
  });
}

/** Adds the value of a round. */
export function note(measured: Measured, name: string, value: number): void {
  (measured[name] ??= []).push(value);
}

/** Computes each round's ratio to the base of that round, which cancels drift between rounds. */
export function summaryOf({ values, baseValues, better }: Figure): Summary {
  const ratios = values.map((value, round) => value / baseValues[round]!);
  const [lowest, highest] = [Math.min(...ratios), Math.max(...ratios)];
  const [above, below] = better === 'more' ? (['better', 'worse'] as const) : (['worse', 'better'] as const);
  return {
    ratio: median(ratios),
    lowest,
    highest,
    value: median(values),
    baseValue: median(baseValues),
    rounds: values.length,
    verdict: lowest > 1 ? above : highest < 1 ? below : 'neither',
  };
}

/** Shows at least three significant digits, which is the precision of a ratio. */
export function shown(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

export const median = (values: number[]): number => percentile(values, 0.5);

const rounded = (value: number): number => Number(value.toPrecision(4));
