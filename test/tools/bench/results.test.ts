import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { expect, test } from 'vitest';
import type { Bench } from '../../../tools/bench/bench.js';
import { benches } from '../../../tools/bench/benches.js';
import { compareWithFirst, computeSummary, type Comparison } from '../../../tools/bench/measure/comparison.js';
import type { Machine } from '../../../tools/bench/measure/machine.js';
import { renderFiles } from '../../../tools/bench/report/render-page.js';
import { formatResult } from '../../../tools/bench/report/format-result.js';
import { mergeResults, readResults, RESULTS_PATH, type BenchResult } from '../../../tools/bench/report/results.js';
import { projectRoot } from '../../support/processes.js';

const machine: Machine = {
  platform: 'linux 6 x64',
  cpuModel: 'A <fast> one',
  cpuCount: 2,
  memoryGiB: 8,
  node: '20.19.0',
  sdk: '1.24.0',
  temporalDevServer: '1.29.1',
  temporalServer: '1.32.0',
  postgres: '18.4.0',
};

const makeFigure = (overrides: Partial<Comparison> = {}): Comparison => ({
  name: 'orders: many | few',
  baseline: 'none <b>',
  unit: 'a second',
  better: 'more',
  sampleCount: 100,
  values: [20, 10, 30],
  baselineValues: [10, 10, 10],
  ...overrides,
});

const makePart = (overrides: Partial<BenchResult> = {}): BenchResult => ({
  date: '2026-01-31',
  commit: 'abc1234',
  seconds: 12.4,
  loadAverage: { before: 0.12, after: 1.5 },
  machine,
  comparisons: [makeFigure()],
  ...overrides,
});

const makeBench = (name: string): Bench => ({
  name,
  title: `All of ${name} & more`,
  description: `About ${name}.`,
  run: async () => [],
});

const testBenches = [makeBench('first'), makeBench('second')];

async function renderedFile(results: Record<string, BenchResult>, ending: string): Promise<string> {
  const files = Object.entries(await renderFiles(testBenches, results));
  return files.find(([path]) => path.endsWith(ending))![1];
}

test('computeSummary compares each round with the baseline of the same round', () => {
  const figure = makeFigure({ values: [10, 20, 60], baselineValues: [10, 40, 30] });
  expect(computeSummary(figure)).toMatchObject({
    ratio: 1,
    minRatio: 0.5,
    maxRatio: 2,
    medianValue: 20,
    baselineMedian: 30,
    rounds: 3,
  });
});

test.each([
  ['more', [11, 12], 'better'],
  ['more', [8, 9], 'worse'],
  ['less', [8, 9], 'better'],
  ['less', [11, 12], 'worse'],
  ['more', [9, 12], 'neither'],
  ['less', [10, 12], 'neither'],
] as const)('computeSummary, if %s is better, rates a change from 10 to %j as %s', (better, values, verdict) => {
  expect(computeSummary(makeFigure({ better, values: [...values], baselineValues: [10, 10] })).verdict).toBe(verdict);
});

test('compareWithFirst compares every other candidate with the first candidate, with four significant digits', () => {
  const kind = { what: 'time', unit: 'ms', better: 'less', sampleCount: 7 } as const;
  expect(compareWithFirst({ base: [1.23456], one: [2.34567], two: [30000.4] }, kind)).toEqual([
    {
      name: 'time: one',
      baseline: 'base',
      unit: 'ms',
      better: 'less',
      sampleCount: 7,
      values: [2.346],
      baselineValues: [1.235],
    },
    {
      name: 'time: two',
      baseline: 'base',
      unit: 'ms',
      better: 'less',
      sampleCount: 7,
      values: [30000],
      baselineValues: [1.235],
    },
  ]);
});

test('compareWithFirst rejects a candidate with a missing round', () => {
  const kind = { what: 'time', unit: 'ms', better: 'less', sampleCount: 1 } as const;
  expect(() => compareWithFirst({ base: [1, 2], one: [2] }, kind)).toThrow(
    'time: one and base must have the same number of rounds (at least 1), got 1 and 2',
  );
});

test('formatResult prints the ratio, its spread and the units', () => {
  expect(formatResult('first', makePart())).toBe(
    'first: 12 s, load average 0.1 before, 1.5 after\n' +
      '  orders: many | few  ratio   2.00 (1.00 to 3.00)  20.0 compared with 10.0 a second, 3 x 100; baseline: none <b>\n',
  );
});

test('the performance page shows each comparison as a table row and escapes Markdown', async () => {
  const page = await renderedFile({ first: makePart() }, '.md');
  const [row] = page.split('\n').filter((line) => line.includes('orders: many'));
  expect(row!.split(/(?<!\\)\|/).map((cell) => cell.trim())).toEqual([
    '',
    'orders: many \\| few',
    'none &lt;b>',
    'more',
    '**2.00**',
    '1.00 to 3.00',
    '20.0 compared with 10.0 a second',
    '3 x 100',
    '',
  ]);
  expect(page).toContain('`npm run bench -- first` on 2026-01-31, commit abc1234, 12 s; load average 0.1 before');
  expect(page).toContain('2 processors (A &lt;fast> one), 8 GiB, linux 6 x64; Node 20.19.0, Temporal SDK 1.24.0');
  expect(page).toContain('![All of first & more: each ratio with its spread](performance/first.svg)');
  expect(page).not.toContain('second.svg');
});

test('the performance page lists each machine with its benchmarks if they ran on different machines', async () => {
  const results = { first: makePart(), second: makePart({ machine: { ...machine, cpuCount: 64 } }) };
  const page = await renderedFile(results, '.md');
  expect(page).toMatch(/- 2 processors .*\(first\)/);
  expect(page).toMatch(/- 64 processors .*\(second\)/);
});

test('the plot is reproducible and shows every comparison with its numbers', async () => {
  const figures = [
    makeFigure(),
    makeFigure({ name: 'bytes: <few>', better: 'less', values: [1], baselineValues: [1_000] }),
  ];
  const svg = await renderedFile({ first: makePart({ comparisons: figures }) }, 'first.svg');
  expect(svg).toMatch(/^<svg [^]*<\/svg>\n$/);
  for (const text of ['All of first &amp; more', 'orders: many | few', 'bytes: &lt;few&gt;', '2.00  (1.00 to 3.00)'])
    expect(svg).toContain(text);
  // The axis goes from 1/1024 to 4. Each step is a factor of four.
  expect([...svg.matchAll(/× ([\d/]+)/g)].map(([, times]) => times)).toEqual([
    '1/1024',
    '1/256',
    '1/64',
    '1/16',
    '1/4',
    '1',
    '4',
  ]);
  expect(svg).toContain('#0969da');
  expect(svg).not.toMatch(/url\(http|@font-face|<script|NaN/);
  expect(await renderedFile({ first: makePart({ comparisons: figures }) }, 'first.svg')).toBe(svg);
});

test('mergeResults replaces only the results of the benchmarks that ran again, and keeps the order', async () => {
  const before = { second: makePart(), first: makePart() };
  const now = makePart({ commit: 'def5678', comparisons: [makeFigure({ values: [40, 40, 40] })] });
  const results = mergeResults(before, { first: now });
  expect(results).toEqual({ first: now, second: before.second });
  const file = await renderedFile(results as Record<string, BenchResult>, 'results.json');
  expect(JSON.parse(file)).toEqual(results);
  expect(Object.keys(JSON.parse(file) as object)).toEqual(['first', 'second']);
});

test('readResults returns no results if the file is missing', async () => {
  await expect(readResults(`${RESULTS_PATH}.not-there`)).resolves.toEqual({});
});

test('the committed performance page matches the committed results', async () => {
  const results = await readResults();
  expect(Object.keys(results)).not.toEqual([]);
  for (const [path, text] of Object.entries(await renderFiles(benches, results))) {
    const isSame = (await readFile(path, 'utf8').catch(() => '')) === text;
    expect(isSame, `${relative(projectRoot, path)} is not what its results say: run "npm run bench -- --page"`).toBe(
      true,
    );
  }
});
