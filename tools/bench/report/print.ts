import { shown, summaryOf } from '../measure/figure.js';
import type { Part } from './results.js';

/** The result of a bench as lines for a terminal. */
export function printed(name: string, { figures, seconds, load }: Part): string {
  const width = Math.max(...figures.map((figure) => figure.name.length));
  const lines = figures.map((figure) => {
    const { ratio, lowest, highest, value, baseValue, rounds } = summaryOf(figure);
    return (
      `  ${figure.name.padEnd(width)}  ratio ${shown(ratio).padStart(6)} (${shown(lowest)} to ${shown(highest)})  ` +
      `${shown(value)} against ${shown(baseValue)} ${figure.unit}, ${rounds} x ${figure.of}; base: ${figure.base}`
    );
  });
  const state = `${Math.round(seconds)} s, load of the machine ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} after`;
  return [`${name}: ${state}`, ...lines, ''].join('\n');
}
