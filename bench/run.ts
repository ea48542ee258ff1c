import { cpus, totalmem } from 'node:os';
import { benchBatch, benchBatchTree } from './batch.js';
import { benchCart } from './cart.js';
import { benchHttp } from './http.js';
import { benchObservability } from './observability.js';
import { benchWorkers } from './workers.js';

/**
 * `npm run bench [-- <name>]`: the measured claims of the documentation. Every figure is a ratio of two things that were
 * measured side by side in one run, because machines differ and drift.
 */
const benches: Record<string, () => Promise<void>> = { cart: benchCart, batch: benchBatch, http: benchHttp };

/** Only by name: they take minutes. */
const longBenches: typeof benches = {
  'batch-tree': benchBatchTree,
  workers: benchWorkers,
  observability: benchObservability,
};

const names = process.argv.slice(2);
const all = { ...benches, ...longBenches };
const unknown = names.filter((name) => !(name in all));
if (unknown.length) {
  console.error(`There is no bench ${unknown.join(', ')}. There are: ${Object.keys(all).join(', ')}`);
  process.exit(1);
}

const [cpu] = cpus();
console.log(
  `${process.platform} ${process.arch}, ${cpus().length} x ${cpu?.model ?? 'unknown'}, ` +
    `${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}\n`,
);
for (const [name, bench] of Object.entries(all)) {
  if (names.length === 0 ? name in benches : names.includes(name)) await bench();
}
process.exit(0);
