import { dirname, join, relative } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { checkout } from '../../stack/settings.js';
import type { Bench } from '../bench.js';
import { shown, summaryOf, type Figure } from '../measure/figure.js';
import type { Machine } from '../measure/machine.js';
import { plotOf } from './plot.js';
import { RESULTS_PATH, type Part, type Results } from './results.js';

const PAGE_PATH = join(checkout, 'docs/performance.md');
const plotPath = (name: string) => join(dirname(RESULTS_PATH), `${name}.svg`);

const INTRODUCTION = `# Performance

<!-- Written by "npm run bench" from docs/performance/results.json; the words are in tools/bench/report/page.ts and tools/bench/benches.ts. -->

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
export async function filesOf(benches: readonly Bench[], results: Results): Promise<Record<string, string>> {
  const found = benches.flatMap((bench) => {
    const part = results[bench.name];
    return part ? [{ bench, part }] : [];
  });
  const page = [
    INTRODUCTION,
    machineTable(found.map(({ bench: { name }, part: { machine } }) => ({ name, machine }))),
    ...found.map(({ bench, part }) => section(bench, part)),
  ].join('\n');
  const formatted = async (path: string, text: string) =>
    await format(text, { ...(await resolveConfig(path)), filepath: path });
  return {
    [PAGE_PATH]: await formatted(PAGE_PATH, page),
    [RESULTS_PATH]: await formatted(RESULTS_PATH, JSON.stringify(inOrder(benches, results))),
    ...Object.fromEntries(
      found.map(({ bench: { name, title }, part }) => [plotPath(name), plotOf(title, part.figures)]),
    ),
  };
}

/**
 * Sorts the results as on the page, so that the file does not depend on which bench ran last. Leaves out benches that
 * no longer exist.
 */
function inOrder(benches: readonly Bench[], results: Results): Results {
  return Object.fromEntries(benches.flatMap(({ name }) => (results[name] ? [[name, results[name]]] : [])));
}

/** Lists the machines, with one line for each different one. */
function machineTable(measured: { name: string; machine: Machine }[]): string {
  const byFacts = new Map<string, string[]>();
  for (const { name, machine } of measured) {
    const facts = factsOf(machine);
    byFacts.set(facts, [...(byFacts.get(facts) ?? []), name]);
  }
  const lines = [...byFacts].map(([facts, names]) => `- ${facts}${byFacts.size > 1 ? ` (${names.join(', ')})` : ''}`);
  return `## Measured on\n\n${lines.map(escaped).join('\n')}\n`;
}

function factsOf(machine: Machine): string {
  const { system, processor, processors, memoryGiB, node, sdk, devServer, fullServer, postgres } = machine;
  return (
    `${processors} processors (${processor}), ${memoryGiB} GiB, ${system}; Node ${node}, Temporal SDK ${sdk}, ` +
    `Temporal dev server ${devServer}, full server ${fullServer}, PostgreSQL ${postgres}`
  );
}

function section({ name, title, about }: Bench, { figures, date, commit, seconds, load }: Part): string {
  const state =
    `\`npm run bench -- ${name}\` on ${date}, commit ${commit}, ${Math.round(seconds)} s; ` +
    `load of the machine ${load.before.toFixed(1)} before and ${load.after.toFixed(1)} after.`;
  const head = ['| what | base | better | ratio | lowest to highest | medians | samples |', '|-|-|-|-|-|-|-|'];
  const plot = `![${title}: each ratio with its spread](${relative(dirname(PAGE_PATH), plotPath(name))})`;
  return [`## ${title}`, about, state, [...head, ...figures.map(row)].join('\n'), plot, ''].join('\n\n');
}

function row(figure: Figure): string {
  const { ratio, lowest, highest, value, baseValue, rounds } = summaryOf(figure);
  const cells = [
    figure.name,
    figure.base,
    figure.better,
    `**${shown(ratio)}**`,
    `${shown(lowest)} to ${shown(highest)}`,
    `${shown(value)} against ${shown(baseValue)} ${figure.unit}`,
    `${rounds} x ${figure.of}`,
  ];
  return `| ${cells.map(escaped).join(' | ')} |`;
}

const escaped = (cell: string): string => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;');
