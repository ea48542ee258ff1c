import { mkdir, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { stopLeftovers } from '../stack/stack.js';
import { full, quick, type Bench } from './bench.js';
import { benches } from './benches.js';
import { thisCommit, thisMachine } from './measure/machine.js';
import { filesOf } from './report/page.js';
import { printed } from './report/print.js';
import { merged, readResults, type Part } from './report/results.js';

const usage = `Usage: npm run bench [-- options] [-- <name> …]

  (no names)   all of them: ${benches.map(({ name }) => name).join(', ')}
  --quick      few samples, to see that they run; writes nothing
  --page       measures nothing, writes the page and the plots of what was found before
  --help`;

/**
 * `npm run bench [-- <name> …]`: measures the performance claims of the documentation, all or the named ones. Every
 * figure is a ratio of two measurements taken in turn in one run, because machines differ and drift.
 *
 * The result of a bench is printed and replaces its earlier result in docs/performance/results.json, on the page
 * docs/performance.md and in its plot. The results of other benches stay. A bench that fails keeps its earlier result.
 *
 * Exit code: 0, or 1 when a bench failed (the output names it) or the command line is invalid.
 */
async function main(): Promise<number> {
  const command = parsed(process.argv.slice(2));
  if (!command || command.help) {
    (command ? console.log : console.error)(usage);
    return command ? 0 : 1;
  }
  if (command.page) {
    await write({});
    return 0;
  }
  // The workers' own log lines are not results.
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const failed: string[] = [];
  for (const bench of command.chosen) {
    try {
      const part = await measured(bench, command.quick);
      console.log(printed(bench.name, part));
      if (!command.quick) await write({ [bench.name]: part });
    } catch (error) {
      failed.push(bench.name);
      console.error(`${bench.name} failed:`, error);
    } finally {
      await stopLeftovers();
    }
  }
  if (failed.length > 0) console.error(`Failed: ${failed.join(', ')}`);
  return failed.length > 0 ? 1 : 0;
}

function parsed(args: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { quick: { type: 'boolean' }, page: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    const unknown = positionals.filter((name) => !benches.some((bench) => bench.name === name));
    if (unknown.length > 0) throw new Error(`There is no bench ${unknown.join(', ')}`);
    const isChosen = ({ name }: Bench) => positionals.length === 0 || positionals.includes(name);
    return { ...values, quick: values.quick ?? false, chosen: benches.filter(isChosen) };
  } catch (error) {
    console.error((error as Error).message);
    return undefined;
  }
}

const load = () => Number(loadavg()[0]!.toFixed(2));

async function measured(bench: Bench, isQuick: boolean): Promise<Part> {
  const facts = {
    date: new Date().toISOString().slice(0, 10),
    commit: await thisCommit(),
    machine: await thisMachine(),
  };
  const before = load();
  const started = performance.now();
  const figures = await bench.run(isQuick ? quick : full);
  const seconds = Math.round((performance.now() - started) / 1000);
  return { ...facts, seconds, load: { before, after: load() }, figures };
}

/** Writes after each bench, so that no result is lost when a later bench hangs. */
async function write(now: Record<string, Part>): Promise<void> {
  for (const [path, text] of Object.entries(await filesOf(benches, merged(await readResults(), now)))) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}

process.exit(await main());
