import { median } from '../../measurement/statistics.js';

/** A measurement and its baseline, which alternate in one run. Only their ratio is meaningful. */
export interface Comparison {
  /** What was measured, and for which variant: `orders per second: over HTTP`. */
  name: string;
  /** The name of the baseline variant. */
  baseline: string;
  unit: string;
  better: 'more' | 'less';
  /** The number of orders, calls or items behind each value. */
  sampleCount: number;
  /** One value for each round. */
  values: number[];
  /** The values of the baseline in the same rounds. */
  baselineValues: number[];
}

/** The figures that are shown: the median of the rounds, and their spread. */
export interface ComparisonSummary {
  ratio: number;
  minRatio: number;
  maxRatio: number;
  medianValue: number;
  baselineMedian: number;
  rounds: number;
  verdict: 'better' | 'worse' | 'neither';
}

/** The values of all rounds, by variant. The first variant is the baseline. */
export type ValuesByVariant = Record<string, number[]>;

/**
 * Compares each other variant with the first. Rounds values to four digits, so that anyone who recomputes the ratios
 * from the stored values gets the same result.
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
      throw new Error(
        `${what}: ${name} and ${baseline} must have the same number of rounds (at least 1), got ${values.length} and ${baselineValues.length}`,
      );
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

/** Computes the ratio of each round to the baseline of the same round, which cancels drift between rounds. */
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

/** Formats a number with at least three significant digits. A ratio is not more precise. */
export function formatNumber(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const roundToFourDigits = (value: number): number => Number(value.toPrecision(4));
