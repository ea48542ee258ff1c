import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { loadConfig } from '../../src/config/read.js';
import { product } from '../../src/schemas/product.js';
import { openStore } from '../../src/store/index.js';

/** Fills the catalogue from `examples/catalogue.json`. Existing products keep their stock. */
const { DATABASE_URL } = loadConfig('setup');
const catalogue = await readFile(new URL('../../examples/catalogue.json', import.meta.url), 'utf8');
const store = openStore({ databaseUrl: DATABASE_URL, maxConnections: 1, onIdleError: () => undefined });
try {
  await store.addProducts(z.array(product).min(1).parse(JSON.parse(catalogue)));
} finally {
  await store.close();
}
