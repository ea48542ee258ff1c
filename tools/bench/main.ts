import { mkdir, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { formatError, parseArguments, UsageError } from '../terminal/command-line.js';
import { stopLiveProcesses } from '../processes/processes.js';
import { fullScale, quickScale, type Bench, type Change } from './bench.js';
import { benches } from './benches.js';
import { readCommit, readMachine } from './measure/machine.js';
import { renderFiles } from './report/render-page.js';
import { formatResult } from './report/format-result.js';
import { addChange, mergeResults, readResults, type BenchResult } from './report/results.js';

const usage = `Usage: npm run bench [-- options] [-- <name> …]

  (no names)   all benches: ${benches.map(({ name }) => name).join(', ')}
  --quick      few samples, only to check that the benches run; writes nothing
  --change <text> --against <folder>
               for the bench "changes": what this checkout changes, and the folder of a checkout without the change
  --page       only writes the page and the plots from the stored results
  --help`;

/**
 * `npm run bench [-- <name> …]`: measures the performance claims of the documentation, either all or the named ones.
 * Every figure is a ratio of two measurements that alternate in one run, because machines differ and drift.
 *
 * Prints the result of each bench. The result replaces the earlier one in docs/reference/performance/results.json, on
 * the page docs/reference/performance.md and in its plot. Results of other benches stay. A failed bench keeps its
 * earlier result.
 *
 * Exit code: 0, or 1 when a bench failed (the output names it) or the command line is invalid.
 */
async function main(): Promise<number> {
  const command = readCommandLine(process.argv.slice(2));
  if (command.help) {
    console.log(usage);
    return 0;
  }
  if (command.page) {
    await writeResults({});
    return 0;
  }
  // Hides the log lines of the workers, because they are not results.
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const { change } = command;
  const failed: string[] = [];
  for (const bench of command.selected) {
    try {
      const result = await measureBench(bench, command);
      console.log(formatResult(bench.name, result));
      if (command.quick) continue;
      const earlier = change && (await readResults())[bench.name];
      await writeResults({ [bench.name]: change ? addChange(earlier, result, change) : result });
    } catch (error) {
      failed.push(bench.name);
      console.error(`${bench.name} failed:`, error);
    } finally {
      await stopLiveProcesses();
    }
  }
  if (failed.length > 0) console.error(`Failed: ${failed.join(', ')}`);
  return failed.length > 0 ? 1 : 0;
}

/** @throws UsageError */
function readCommandLine(args: string[]) {
  const { values, positionals } = parseArguments({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean' },
      change: { type: 'string' },
      against: { type: 'string' },
      page: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const unknown = positionals.filter((name) => !benches.some((bench) => bench.name === name));
  if (unknown.length > 0) throw new UsageError(`unknown bench: ${unknown.join(', ')}`);
  const isSelected = ({ name, needsChange }: Bench) =>
    positionals.length === 0 ? !needsChange : positionals.includes(name);
  const selected = benches.filter(isSelected);
  const { change, against } = values;
  if (selected.some(({ needsChange }) => needsChange) !== (change !== undefined && against !== undefined))
    throw new UsageError('the bench "changes", and only this bench, needs --change and --against');
  return {
    ...values,
    quick: values.quick ?? false,
    selected,
    change: change === undefined || against === undefined ? undefined : { name: change, against },
  };
}

const readLoadAverage = () => Number(loadavg()[0]!.toFixed(2));

async function measureBench(
  bench: Bench,
  { quick, change }: { quick: boolean; change: Change | undefined },
): Promise<BenchResult> {
  const facts = {
    date: new Date().toISOString().slice(0, 10),
    commit: await readCommit(),
    machine: await readMachine(),
  };
  const before = readLoadAverage();
  const started = performance.now();
  const comparisons = await bench.run(quick ? quickScale : fullScale, change);
  const seconds = Math.round((performance.now() - started) / 1000);
  return { ...facts, seconds, loadAverage: { before, after: readLoadAverage() }, comparisons };
}

/** Called after each bench, so that no result is lost when a later bench hangs. */
async function writeResults(now: Record<string, BenchResult>): Promise<void> {
  for (const [path, text] of Object.entries(await renderFiles(benches, mergeResults(await readResults(), now)))) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}

try {
  process.exit(await main());
} catch (error) {
  console.error(formatError(error));
  if (error instanceof UsageError) console.error(`\n${usage}`);
  process.exit(1);
}
