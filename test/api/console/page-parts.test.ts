import { expect, test } from 'vitest';
import { batchContent, isFinal } from '../../../src/api/console/batches/page.js';
import { reasonText, tableHtml } from '../../../src/api/console/components.js';
import { systemsHtml } from '../../../src/api/console/home/systems.js';
import type { ShopState } from '../../../src/api/console/home/state.js';
import { renderConsolePage } from '../../../src/api/console/layout.js';
import { ANONYMOUS } from '../../../src/api/http/caller.js';
import type { BatchResource } from '../../../src/schemas/batch.js';

test('a table has the roles that its elements lose when they are shown as blocks', () => {
  const table = tableHtml('Numbers', [{ title: 'Number', cellHtml: String }], [1, 2], '');
  const rolesOf = (tag: string) =>
    [...table.matchAll(new RegExp(`<${tag}\\b[^>]*role="(\\w+)"`, 'g'))].map(([, role]) => role);
  expect({
    table: rolesOf('table'),
    head: rolesOf('thead'),
    body: rolesOf('tbody'),
    rows: rolesOf('tr'),
    titles: rolesOf('th'),
    cells: rolesOf('td'),
  }).toEqual({
    table: ['table'],
    head: ['rowgroup'],
    body: ['rowgroup'],
    rows: ['row', 'row', 'row'],
    titles: ['columnheader'],
    cells: ['cell', 'cell'],
  });
});

test('a reason without a message has no text', () => {
  expect(reasonText({ type: 'CancelledFailure', message: '' })).toBe('');
  expect(reasonText({ type: 'OutOfStock', message: 'no mugs' })).toBe('OutOfStock: no mugs');
  expect(reasonText(undefined)).toBe('');
});

test('only a live page says that it does not update automatically without scripts', () => {
  const page = { title: 'Page', content: '' };
  expect(renderConsolePage({ ...page, livePath: '/live' }, ANONYMOUS)).toMatch(
    /<noscript>.*does not update automatically.*<a href="">Reload the page<\/a>.*<\/noscript>/s,
  );
  expect(renderConsolePage(page, ANONYMOUS)).not.toContain('<noscript>');
});

const running: BatchResource = {
  batchId: 'batch-1',
  operation: 'restock',
  status: 'running',
  itemsPerChunk: 10,
  total: 20,
  succeeded: 10,
  failed: 0,
  attempt: 1,
  chunks: 2,
};

const contentOf = (batch: BatchResource) => batchContent({ batch, failures: { items: [] }, toolsHtml: '' });

test('a paused batch says that its counts can still rise', () => {
  const hint = 'The counts can still rise until the running chunks have stopped.';
  expect(contentOf(running)).not.toContain(hint);
  expect(contentOf({ ...running, status: 'paused' })).toContain(hint);
});

test('a batch with failed items links to an upload with its operation, and does not deny the failed items', () => {
  const content = contentOf({ ...running, failed: 2 });
  expect(content).toContain('href="/console/batches?upload=open&amp;operation=restock#upload"');
  expect(content).toContain('The list of failed items follows within seconds.');
});

test('a batch whose cancellation was requested says so, offers no command and stays live', () => {
  expect(contentOf(running)).toContain('<summary>Cancel</summary>');
  expect(contentOf(running)).not.toContain('Cancelling');
  const cancelling: BatchResource = { ...running, cancelRequested: true };
  expect(contentOf(cancelling)).toContain('Cancelling: the running chunks are cancelled, and no further chunk starts.');
  expect(contentOf(cancelling)).not.toContain('<summary>');
  expect(isFinal(cancelling)).toBe(false);
});

test('the first page warns when tasks wait in a task queue whose worker was seen a moment ago', () => {
  const systemsFor = (ageSeconds: number) =>
    systemsHtml({
      store: { value: 'ok' },
      unpolledQueues: { value: [] },
      backlogs: { value: [{ taskQueue: 'orders', taskType: 'workflow', taskCount: 2, ageSeconds }] },
      retries: { value: {} },
    } as unknown as ShopState);
  expect(systemsFor(11.2)).toContain('<span class="badge attention">polling, but the oldest task has waited for 11 s');
  expect(systemsFor(2)).not.toContain('polling, but');
});

test('the first page links to the order or approval whose call to a partner is retried', () => {
  const example = { step: 'chargePayment', attempt: 3, lastFailure: { type: 'Failure', message: '' } };
  const state = {
    store: { value: 'ok' },
    unpolledQueues: { value: [] },
    backlogs: { value: [] },
    retries: {
      value: {
        'Payment gateway': { count: 1, example: { ...example, workflowId: 'order:order-1' } },
        'Mail server': { count: 1, example: { ...example, workflowId: 'approval:order.order-2' } },
      },
    },
  } as unknown as ShopState;
  const systems = systemsHtml(state);
  expect(systems).toContain('order <a class="code" href="/console/orders/order-1">order-1</a>');
  expect(systems).toContain('approval <a class="code" href="/console/approvals/order.order-2">order.order-2</a>');
});
