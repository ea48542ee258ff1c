import { dirname, join, relative } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { projectRoot } from '../../stack/settings.js';
import type { Bench } from '../bench.js';
import { formatNumber, computeSummary, type Comparison } from '../measure/comparison.js';
import type { Machine } from '../measure/machine.js';
import { renderPlot } from './render-plot.js';
import { RESULTS_PATH, type BenchResult, type ResultsByBench } from './results.js';

const PAGE_PATH = join(projectRoot, 'docs/performance.md');
const resolvePlotPath = (name: string) => join(dirname(RESULTS_PATH), `${name}.svg`);

const INTRODUCTION = `# Performance

<!-- Written by "npm run bench" from docs/performance/results.json; the words are in tools/bench/report/render-page.ts and tools/bench/benches.ts. -->

What this project says about its speed, size and cost, with the command that measured it. Absolute numbers are those of one
machine, on which everything runs at once: load, servers, worker, API and database. So every figure is a **ratio** of two
things that were measured in turn in one run: a round of the one, a round of the other, and again. The table has the median of
the rounds' ratios, with the lowest and the highest; \`5 x 100\` are five rounds of a hundred orders, calls or items each. A
ratio whose spread includes 1 says that no difference was seen.

\`\`\`sh
npm run bench                     # all of it, writes this page, its plots and docs/performance/results.json
npm run bench -- order replay     # only these; what the others found stays
npm run bench -- --quick          # a few samples of all, to see that they run; writes nothing
\`\`\`
`;

/** The contents of the page, its plots and the results file, by path. */
export async function renderFiles(benches: readonly Bench[], results: ResultsByBench): Promise<Record<string, string>> {
  const found = benches.flatMap((bench) => {
    const part = results[bench.name];
    return part ? [{ bench, part }] : [];
  });
  const page = [
    INTRODUCTION,
    renderMachines(found.map(({ bench: { name }, part: { machine } }) => ({ name, machine }))),
    ...found.map(({ bench, part }) => renderSection(bench, part)),
  ].join('\n');
  const formatted = async (path: string, text: string) =>
    await format(text, { ...(await resolveConfig(path)), filepath: path });
  return {
    [PAGE_PATH]: await formatted(PAGE_PATH, page),
    [RESULTS_PATH]: await formatted(RESULTS_PATH, JSON.stringify(sortResults(benches, results))),
    ...Object.fromEntries(
      found.map(({ bench: { name, title }, part }) => [resolvePlotPath(name), renderPlot(title, part.comparisons)]),
    ),
  };
}

/**
 * Sorts the results as on the page, so that the file does not depend on which bench ran last. Leaves out benches that
 * no longer exist.
 */
function sortResults(benches: readonly Bench[], results: ResultsByBench): ResultsByBench {
  return Object.fromEntries(benches.flatMap(({ name }) => (results[name] ? [[name, results[name]]] : [])));
}

/** Lists the machines, with one line for each different one. */
function renderMachines(measured: { name: string; machine: Machine }[]): string {
  const byFacts = new Map<string, string[]>();
  for (const { name, machine } of measured) {
    const facts = formatMachine(machine);
    byFacts.set(facts, [...(byFacts.get(facts) ?? []), name]);
  }
  const lines = [...byFacts].map(([facts, names]) => `- ${facts}${byFacts.size > 1 ? ` (${names.join(', ')})` : ''}`);
  return `## Measured on\n\n${lines.map(escapeCell).join('\n')}\n`;
}

function formatMachine(machine: Machine): string {
  const { platform, cpuModel, cpuCount, memoryGiB, node, sdk, temporalDevServer, temporalServer, postgres } = machine;
  return (
    `${cpuCount} processors (${cpuModel}), ${memoryGiB} GiB, ${platform}; Node ${node}, Temporal SDK ${sdk}, ` +
    `Temporal dev server ${temporalDevServer}, full server ${temporalServer}, PostgreSQL ${postgres}`
  );
}

function renderSection(
  { name, title, description }: Bench,
  { comparisons, date, commit, seconds, loadAverage }: BenchResult,
): string {
  const state =
    `\`npm run bench -- ${name}\` on ${date}, commit ${commit}, ${Math.round(seconds)} s; ` +
    `load of the machine ${loadAverage.before.toFixed(1)} before and ${loadAverage.after.toFixed(1)} after.`;
  const head = ['| what | base | better | ratio | lowest to highest | medians | samples |', '|-|-|-|-|-|-|-|'];
  const plot = `![${title}: each ratio with its spread](${relative(dirname(PAGE_PATH), resolvePlotPath(name))})`;
  return [`## ${title}`, description, state, [...head, ...comparisons.map(renderRow)].join('\n'), plot, ''].join(
    '\n\n',
  );
}

function renderRow(figure: Comparison): string {
  const { ratio, minRatio, maxRatio, medianValue, baselineMedian, rounds } = computeSummary(figure);
  const cells = [
    figure.name,
    figure.baseline,
    figure.better,
    `**${formatNumber(ratio)}**`,
    `${formatNumber(minRatio)} to ${formatNumber(maxRatio)}`,
    `${formatNumber(medianValue)} against ${formatNumber(baselineMedian)} ${figure.unit}`,
    `${rounds} x ${figure.sampleCount}`,
  ];
  return `| ${cells.map(escapeCell).join(' | ')} |`;
}

const escapeCell = (cell: string): string => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;');
