import { cpus, totalmem } from 'node:os';
import { benchCart } from './cart.js';

/**
 * `npm run bench [-- <name>]`: the measured claims of the documentation. Every figure is a ratio of two things that were
 * measured side by side in one run, because machines differ and drift.
 */
const benches: Record<string, () => Promise<void>> = { cart: benchCart };

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in benches));
if (unknown.length) {
  console.error(`There is no bench ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}`);
  process.exit(1);
}

const [cpu] = cpus();
console.log(
  `${process.platform} ${process.arch}, ${cpus().length} x ${cpu?.model ?? 'unknown'}, ` +
    `${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}\n`,
);
for (const [name, bench] of Object.entries(benches)) if (names.length === 0 || names.includes(name)) await bench();
process.exit(0);
