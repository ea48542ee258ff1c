import { median } from '../../measurement/statistics.js';

/** A measurement and its base, measured in turn in one run. Only the ratio of the two matters. */
export interface Comparison {
  /** What was measured, and for which contender: `orders per second: over HTTP`. */
  name: string;
  /** The name of the base. */
  baseline: string;
  unit: string;
  better: 'more' | 'less';
  /** Number of orders, calls or items behind each value. */
  sampleCount: number;
  /** One value for each round. */
  values: number[];
  /** The values of the base in the same rounds. */
  baselineValues: number[];
}

/** A figure as it is shown: the median of the rounds, and their spread. */
export interface ComparisonSummary {
  ratio: number;
  minRatio: number;
  maxRatio: number;
  medianValue: number;
  baselineMedian: number;
  rounds: number;
  verdict: 'better' | 'worse' | 'neither';
}

/** Values of each round, by contender; the first contender is the base. */
export type ValuesByVariant = Record<string, number[]>;

/**
 * Compares all other contenders with the first. Rounds values to four digits, so that anyone who recomputes the ratios
 * gets the same result.
 */
export function compareWithFirst(
  measured: ValuesByVariant,
  { what, ...rest }: { what: string } & Pick<Comparison, 'unit' | 'better' | 'sampleCount'>,
): Comparison[] {
  const [[baseline, baselineValues], ...others] = Object.entries(measured) as [
    [string, number[]],
    ...[string, number[]][],
  ];
  return others.map(([name, values]) => {
    if (values.length === 0 || values.length !== baselineValues.length)
      throw new Error(`${what}: ${name} has ${values.length} rounds, ${baseline} has ${baselineValues.length}`);
    return {
      name: `${what}: ${name}`,
      baseline,
      ...rest,
      values: values.map(roundToFourDigits),
      baselineValues: baselineValues.map(roundToFourDigits),
    };
  });
}

/** Adds the value of a round. */
export function addValue(measured: ValuesByVariant, name: string, value: number): void {
  (measured[name] ??= []).push(value);
}

/** Computes each round's ratio to the base of that round, which cancels drift between rounds. */
export function computeSummary({ values, baselineValues, better }: Comparison): ComparisonSummary {
  const ratios = values.map((value, round) => value / baselineValues[round]!);
  const [lowest, highest] = [Math.min(...ratios), Math.max(...ratios)];
  const [above, below] = better === 'more' ? (['better', 'worse'] as const) : (['worse', 'better'] as const);
  return {
    ratio: median(ratios),
    minRatio: lowest,
    maxRatio: highest,
    medianValue: median(values),
    baselineMedian: median(baselineValues),
    rounds: values.length,
    verdict: lowest > 1 ? above : highest < 1 ? below : 'neither',
  };
}

/** Shows at least three significant digits, which is the precision of a ratio. */
export function formatNumber(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const roundToFourDigits = (value: number): number => Number(value.toPrecision(4));
