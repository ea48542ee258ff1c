import { startTemporaryStack } from '../../stack/temporary-stack.js';
import { createTemporaryDatabase } from '../../servers/postgres/temporary-database.js';
import type { SampleScale } from '../bench.js';
import { COMMON_WORD, fillDatabase, HALF_WORD, LARGEST_CUSTOMER, LATE_WORD } from '../load/filled-database.js';
import { compareWithFirst, type Comparison } from '../measure/comparison.js';
import { startExtraApi } from '../measure/extra-process.js';
import { measureLatencies, runInTurn } from '../measure/sampling.js';

const ROUNDS = 3;
const CALLS_PER_ROUND = 10;
const WARM_UP = 3;

const ORDER_COUNTS = [1_000, 100_000];

const search = (text: string) => `/products?search=${text}`;

/** Paths that the API and the console both have, relative to `/v1` and to `/console`. */
const LISTS = [
  '/orders',
  '/orders?status=completed',
  '/orders?status=rejected',
  '/orders?status=compensation_stuck',
  `/orders?customerId=${LARGEST_CUSTOMER}`,
  `/orders?customerId=${LARGEST_CUSTOMER}&status=failed`,
  '/orders?orderIdPrefix=order-0005',
  '/carts',
  '/carts?status=abandoned',
  `/carts?customerId=${LARGEST_CUSTOMER}`,
  '/approvals?status=approved',
  '/approvals?status=withdrawn',
  '/approvals?approver=grace',
  `/approvals?requestedBy=${LARGEST_CUSTOMER}`,
  '/batches',
  '/batches?status=failed',
  '/batches?status=cancelled',
  '/products',
  search('SKU-0005'),
  search(COMMON_WORD),
  search(HALF_WORD),
  search(LATE_WORD),
  '/products?sold=none',
  '/products?sold=some',
  '/shipment-reports',
  '/shipment-reports?reason=unknown_status',
];

const DETAILS = ['/orders/order-000500', '/approvals/approval-50', '/batches/batch-9', '/batches/batch-9/failures'];

const CONSOLE_ONLY = ['', '/orders?placedFrom=2020-01-01&placedBefore=2100-01-01', '/bulk/orders', '/bulk/batches'];

/**
 * Measures the time of each page of the console, and of each list of the API, with 100,000 orders against 1,000. Both
 * databases are on one server, and each has its own API process.
 */
export async function benchPages({ scale }: SampleScale): Promise<Comparison[]> {
  const stack = await startTemporaryStack({ logLevel: 'warn' });
  const stops = [() => stack.stop()];
  try {
    const urls: Record<string, string> = {};
    for (const count of ORDER_COUNTS) {
      const database = await createTemporaryDatabase(stack.addresses.ownerDatabaseUrl);
      stops.unshift(() => database.drop());
      await fillDatabase(database.url, count);
      const { process, url } = await startExtraApi(stack, {
        DATABASE_URL: database.url,
        RATE_LIMIT_PER_MINUTE: '10000000',
        // A busy machine must not make the API reject requests.
        MAX_EVENT_LOOP_DELAY_MS: '60000',
      });
      stops.unshift(async () => void (await process.stop()));
      urls[`${count.toLocaleString('en')} orders`] = url;
    }
    const paths = [
      ...[...CONSOLE_ONLY, ...LISTS, ...DETAILS].map((path) => `/console${path}`),
      ...LISTS.map((path) => `/v1${path}`),
    ];
    const comparisons: Comparison[] = [];
    for (const path of paths) comparisons.push(...(await comparePath(path, urls, scale)));
    return comparisons;
  } finally {
    for (const stop of stops) await stop();
  }
}

async function comparePath(
  path: string,
  urls: Record<string, string>,
  scale: SampleScale['scale'],
): Promise<Comparison[]> {
  const variants = Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, () => read(url + path)]));
  await runInTurn(scale(WARM_UP), variants);
  const { p50, p95 } = await measureLatencies({ rounds: scale(ROUNDS), calls: scale(CALLS_PER_ROUND) }, variants);
  const calls = { unit: 'ms', better: 'less', sampleCount: scale(CALLS_PER_ROUND) } as const;
  return [
    ...compareWithFirst(p50, { what: `${path}, p50`, ...calls }),
    ...compareWithFirst(p95, { what: `${path}, p95`, ...calls }),
  ];
}

/** @throws when the response is not 200. */
async function read(url: string): Promise<void> {
  const response = await fetch(url);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`GET ${url}: ${response.status} ${text}`);
}
