import Fastify from 'fastify';
import { onTestFinished, expect, test } from 'vitest';
import { auditScene } from '../../../tools/break-it/audit-scene.js';
import { runScene } from '../../../tools/break-it/run-scene.js';
import { createScene, type Scene } from '../../../tools/break-it/scene.js';
import { buildFakes } from '../../../tools/fakes/app.js';

const PRODUCTS = [
  { sku: 'MUG', name: 'Mug', price: { value: 500, currency: 'EUR' }, available: 100 },
  { sku: 'TEA', name: 'Tea', price: { value: 300, currency: 'EUR' }, available: 90 },
  { sku: 'MACHINE', name: 'Machine', price: { value: 90_000, currency: 'EUR' }, available: 1_000 },
];

interface ShopOptions {
  /** The status of an order when the scene asks for it. Default: completed. */
  statusOf?: (index: number) => string;
  /** Changes the effects of one order. Default: each effect happens once. */
  effectsOf?: (index: number) => { charges?: number; shipments?: number; takesStock?: boolean };
  available?: number;
}

/** Starts a shop that calls the fakes at once, and a scene against it. Returns the scene when it has ended. */
async function playScene({ statusOf = () => 'completed', effectsOf = () => ({}), available }: ShopOptions = {}) {
  const fakes = buildFakes({ autoDeliver: false });
  const api = Fastify();
  const base = await fakes.app.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(async () => {
    await api.close();
    await fakes.close();
  });
  const products = PRODUCTS.map((product) => ({ ...product, available: available ?? product.available }));
  const call = (path: string, idempotencyKey: string, body: object) =>
    fetch(base + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify(body),
    });

  api.get('/v1/products', () => ({ items: products }));
  api.get<{ Params: { orderId: string } }>('/v1/orders/:orderId', ({ params: { orderId } }) => ({
    orderId,
    status: statusOf(indexOf(orderId)),
    stage: 'charging_payment',
  }));
  api.post<{ Body: { orderId: string; lines: { sku: string; quantity: number }[] } }>(
    '/v1/orders',
    async ({ body: { orderId, lines } }, reply) => {
      const { charges = 1, shipments = 1, takesStock = true } = effectsOf(indexOf(orderId));
      const amount = { value: 1_300, currency: 'EUR' };
      for (let n = 0; n < charges; n += 1)
        await call('/payments/charges', n === 0 ? `order:${orderId}:charge` : `again ${orderId}`, {
          orderId,
          amount,
          token: 'tok_ok',
        });
      for (let n = 0; n < shipments; n += 1)
        await call('/carrier/shipments', n === 0 ? `order:${orderId}:shipment` : `again ${orderId}`, {
          orderId,
          lines,
        });
      for (const { sku, quantity } of takesStock ? lines : [])
        products.find((product) => product.sku === sku)!.available -= quantity;
      return reply.code(202).send({ orderId, status: 'processing' });
    },
  );

  const killed: string[] = [];
  const scene: Scene = { ...createScene(5, 'worker'), deadlineMs: 3_000 };
  await runScene(scene, {
    fakes,
    apiUrl: await api.listen({ host: '127.0.0.1', port: 0 }),
    kill: async (name) => killed.push(name),
    log: () => undefined,
  });
  return { scene, killed, audit: auditScene(scene, fakes.records()) };
}

/** The number of an order in its scene, counted from 1. */
const indexOf = (orderId: string): number => Number(orderId.split('-').at(-1));

test('a scene kills the process once, and its ledger is as expected when each effect happens once', async () => {
  const { scene, killed, audit } = await playScene();
  expect(scene).toMatchObject({ phase: 'done', killedPid: 1 });
  expect(killed).toEqual(['worker']);
  expect(audit.differences).toEqual([]);
  expect(audit.rows.map(({ before, expected, actual }) => [before, expected, actual])).toEqual([
    [0, 6_500, 6_500],
    [100, 90, 90],
    [90, 85, 85],
    [0, 5, 5],
  ]);
});

test.each([
  ['a doubled charge', { charges: 2 }, '2 charges for one order'],
  ['a lost charge', { charges: 0 }, 'does not balance'],
  ['a doubled parcel', { shipments: 2 }, '2 shipments for one order'],
  ['a lost parcel', { shipments: 0 }, 'does not balance'],
])('names the order with %s', async (_damage, effects, text) => {
  const { scene, audit } = await playScene({ effectsOf: (index) => (index === 3 ? effects : {}) });
  expect(scene.phase).toBe('done');
  expect(audit.differences).toEqual([expect.stringContaining(text)]);
  expect(audit.differences[0]).toContain(scene.orders[2]!.orderId);
});

test('reports stock that an order did not take', async () => {
  const { audit } = await playScene({ effectsOf: (index) => (index === 3 ? { takesStock: false } : {}) });
  expect(audit.differences).toEqual(['Stock of MUG is 92, expected 90', 'Stock of TEA is 86, expected 85']);
});

test('ends at the deadline, and names the orders that are not final', async () => {
  const { scene, audit } = await playScene({ statusOf: (index) => (index === 2 ? 'processing' : 'completed') });
  const { orderId } = scene.orders[1]!;
  expect(scene.phase).toBe('failed');
  expect(scene.failure).toContain(`1 of 5 orders are not final after 3 s: ${orderId} (charging_payment)`);
  expect(audit.differences).toEqual([`${orderId}: not final (charging_payment)`]);
});

test('places no orders when the stock is too small', async () => {
  const { scene, killed } = await playScene({ available: 4 });
  expect(scene).toMatchObject({ phase: 'failed' });
  expect(scene.failure).toContain('no two products with enough stock for 5 orders');
  expect(killed).toEqual([]);
});
