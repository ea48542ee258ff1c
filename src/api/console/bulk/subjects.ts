import type { BulkSubject } from './pages.js';

export const ORDERS: BulkSubject = {
  title: 'Act on many orders',
  path: 'orders',
  one: 'order',
  many: 'orders',
  actions: {
    cancel: {
      label: 'Cancel orders',
      appliesTo: 'orders that are processing',
      consequence:
        'Each order is rolled back: its payment is refunded, its shipment is cancelled and its stock is released. An order that can no longer be cancelled stays as it is, for example because the carrier has the parcel. The result shows the reason.',
      isDangerous: true,
    },
    retry_compensations: {
      label: 'Retry compensations',
      appliesTo: 'orders with a stuck compensation',
      consequence: 'Each stuck compensation, for example a refund, runs again now instead of at its next retry.',
    },
  },
};

export const BATCHES: BulkSubject = {
  title: 'Act on many batches',
  path: 'batches',
  one: 'batch',
  many: 'batches',
  actions: {
    retry: {
      label: 'Retry batches',
      appliesTo: 'batches that ended with failures, were cancelled, failed or never started',
      consequence:
        'Each batch starts another attempt for the items that have not succeeded. Items that succeeded are not processed again.',
    },
  },
};
