import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ConfigError } from '../../src/config/errors.js';
import { loadConfig } from '../../src/config/read.js';
import { product } from '../../src/schemas/product.js';
import { checkDatabase } from '../../src/startup/checks/database.js';
import { runProcess } from '../../src/startup/run-process.js';
import { openStore } from '../../src/store/index.js';

/** Fills the catalogue from `examples/catalogue.json`. Existing products keep their stock. */
async function main(): Promise<void> {
  const { DATABASE_URL } = loadConfig('setup');
  const problem = await checkDatabase(DATABASE_URL, { expectTables: true });
  if (problem) throw new ConfigError('The catalogue import', [problem]);
  const catalogue = await readFile(new URL('../../examples/catalogue.json', import.meta.url), 'utf8');
  const store = openStore({ databaseUrl: DATABASE_URL, maxConnections: 1, onIdleError: () => undefined });
  try {
    await store.addProducts(z.array(product).min(1).parse(JSON.parse(catalogue)));
  } finally {
    await store.close();
  }
}

await runProcess(main);
