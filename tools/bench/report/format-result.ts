import { formatNumber, computeSummary } from '../measure/comparison.js';
import type { BenchResult } from './results.js';

/** Formats the result of a bench for a terminal. */
export function formatResult(name: string, { comparisons, seconds, loadAverage }: BenchResult): string {
  const width = Math.max(...comparisons.map((figure) => figure.name.length));
  const lines = comparisons.map((figure) => {
    const { ratio, minRatio, maxRatio, medianValue, baselineMedian, rounds } = computeSummary(figure);
    return (
      `  ${figure.name.padEnd(width)}  ratio ${formatNumber(ratio).padStart(6)} (${formatNumber(minRatio)} to ${formatNumber(maxRatio)})  ` +
      `${formatNumber(medianValue)} compared with ${formatNumber(baselineMedian)} ${figure.unit}, ${rounds} x ${figure.sampleCount}; baseline: ${figure.baseline}`
    );
  });
  const state = `${Math.round(seconds)} s, load average ${loadAverage.before.toFixed(1)} before, ${loadAverage.after.toFixed(1)} after`;
  return [`${name}: ${state}`, ...lines, ''].join('\n');
}
