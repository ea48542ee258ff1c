import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { orderStatusQuery, orderWorkflowId, ORDER_TASK_QUEUE, shipmentReportedSignal } from '../../src/workflows/order/contract.js';
import type { order } from '../../src/workflows/order/workflow.js';
import { anOrder, aProduct, openShop, type Shop } from '../support/shop.js';
import { startTimeSkipping } from '../support/time-skipping.js';
import { waitUntil } from '../../dev/wait.js';

let shop: Shop;
beforeAll(async () => {
  shop = await openShop(await startTimeSkipping());
});
afterAll(async () => {
  await shop.close();
});

test('smoke', async () => {
  const product = await aProduct(shop.store);
  const input = anOrder({ lines: [{ sku: product.sku, quantity: 2 }] });
  const handle = await shop.client.workflow.start<typeof order>('order', { workflowId: orderWorkflowId(input.orderId), taskQueue: ORDER_TASK_QUEUE, args: [input] });
  const s = await waitUntil(async () => { const v = await handle.query(orderStatusQuery); return v.stage === 'awaiting_pickup' ? v : undefined }, { what: 'x', deadlineMs: 20000 });
  for (const status of ['in_transit', 'delivered'] as const)
  await handle.signal(shipmentReportedSignal, { orderId: input.orderId, shipmentId: s.shipment!.shipmentId, status });
  console.log(JSON.stringify(await handle.result(), null, 1));
  console.log(shop.outside.statement(input.orderId));
  const h = await handle.fetchHistory();
  console.log(h.events!.map(e => e.eventId + ' ' + Object.keys(e).filter(k => k.endsWith('Attributes')).join()).join('\n'));
});
