import type { Example } from './example.js';

/** The payload `"ada"` and its metadata as Protobuf JSON, first in plain text, then encrypted. */
const PAYLOADS = { payloads: [{ metadata: { encoding: 'anNvbi9wbGFpbg==' }, data: 'ImFkYSI=' }] };
const ENCRYPTED_PAYLOADS = {
  payloads: [
    {
      metadata: { encoding: 'YmluYXJ5L2VuY3J5cHRlZA==', 'encryption-key-id': 'MjAyNi0xMQ==' },
      data: '0e7nV1QkTS0VDqFq6m0V8cFZ0yq1Jw4hC8m3k1b2Yx9nTz5uWf6PpA==',
    },
  ],
};

/** The submission of the modal by a Slack user who is no approver. */
const SLACK_SUBMISSION = {
  type: 'view_submission',
  user: { id: 'U012AB3CD' },
  view: {
    callback_id: 'decision',
    private_metadata: '{"approvalId":"new-oven","firstRunId":"01958f0e-6c0f-7a51-9f0e-3a1d2c4b5e6f","stage":1}',
    state: {
      values: {
        decision: { decision: { selected_option: { value: 'approve' } } },
        comment: { comment: { value: 'the red one' } },
      },
    },
  },
};

const STARTED_AT = '2026-03-01T09:30:00.000Z';
const ENDED_AT = '2026-03-01T09:30:04.000Z';
const DUE_AT = '2026-03-02T09:30:00.000Z';
const RUN_ID = '01958f0e-6c0f-7a51-9f0e-3a1d2c4b5e6f';

const euros = (value: number) => ({ value, currency: 'EUR' });
const workflowReference = (workflowId: string) => ({ workflow: { workflowId, runId: RUN_ID } });
const completedSteps = (...names: string[]) =>
  names.map((name) => ({ name, status: 'completed', startedAt: STARTED_AT, endedAt: ENDED_AT }));
const compensatedStep = (name: string) => ({ ...completedSteps(name)[0]!, attempt: 1 });

const mugLine = { sku: 'MUG-ENAMEL', quantity: 2 };
const card = { token: 'tok_ok' };
const steps = completedSteps('reserveStock', 'chargePayment', 'requestShipment');

const order = (orderId: string) => ({
  orderId,
  customerId: 'ada',
  status: 'completed',
  stage: 'done',
  lines: [{ ...mugLine, name: 'Enamel mug', unitPrice: euros(1250) }],
  total: euros(2500),
  shipment: { shipmentId: 'ship-1001', status: 'delivered' },
  steps,
  compensations: [] as unknown[],
  ...workflowReference(`order:${orderId}`),
});

const cart = (cartId: string) => ({
  cartId,
  status: 'open',
  lines: [{ ...mugLine, name: 'Enamel mug', unitPrice: euros(1250) }],
  lastChangeAt: STARTED_AT,
  expiresAt: DUE_AT,
  total: euros(2500),
});

const approvalRequest = (approvalId: string, title: string) => ({
  approvalId,
  title,
  description: 'Two offers are on the shared drive.',
  requestedBy: 'ada',
  amount: euros(1_250_000),
  stages: [
    { approvers: [{ id: 'grace', email: 'grace@example.com' }], timeoutSeconds: 86_400, remindEverySeconds: 14_400 },
    { approvers: [{ id: 'manager', email: 'manager@example.com' }], timeoutSeconds: 172_800 },
  ],
});

const requestedEvent = { at: STARTED_AT, event: 'requested', stage: 1 };

const approval = (approvalId: string, title: string) => ({
  ...approvalRequest(approvalId, title),
  status: 'pending',
  stage: 1,
  stages: 2,
  approvers: ['grace'],
  deadline: DUE_AT,
  trail: [requestedEvent],
  notifications: [
    { stage: 1, approver: 'grace', channel: 'email', status: 'sent', sentCount: 1, lastSentAt: STARTED_AT },
  ],
  ...workflowReference(`approval:${approvalId}`),
});

const decision = { approver: 'grace', decision: 'approve', comment: 'Take the second one.' };

const batch = (batchId: string, status = 'running') => ({
  batchId,
  operation: 'restock',
  status,
  itemsPerChunk: 1_000,
  total: 3,
  succeeded: 2,
  failed: 1,
  attempt: 1,
  chunks: 1,
  startedAt: STARTED_AT,
  ...workflowReference(`batch:${batchId}`),
});

/** An upload of three items. The catalogue does not contain the SKU of the last item. */
const restockItems = [
  { sku: 'MUG-ENAMEL', quantity: 120 },
  { sku: 'GRINDER-HAND', quantity: 25 },
  { sku: 'KETTLE-ELECTRIC', quantity: 30 },
];

/**
 * Examples by `operationId`. All examples of one resource show the same state. An operation that needs another state
 * uses another resource.
 */
export const OPERATION_EXAMPLES: Record<string, Example> = {
  getOpenApi: {},
  getLiveness: { response: { status: 'ok' } },
  getReadiness: { response: { status: 'ready', checks: { temporal: 'ok', worker: 'ok', store: 'ok' } } },
  listProblems: {},
  getProblem: { parameters: { kind: 'out-of-stock' } },

  listProducts: {
    parameters: { limit: 20 },
    response: {
      items: [{ sku: 'MUG-ENAMEL', name: 'Enamel mug', price: euros(1250), available: 5000, reserved: 2, sold: 120 }],
    },
  },

  placeOrder: {
    body: { orderId: 'order-1001', customerId: 'ada', lines: [mugLine], payment: card, expectedTotal: euros(2500) },
    response: { orderId: 'order-1001', status: 'processing' },
  },
  listOrders: {
    parameters: { limit: 20, status: 'completed', customerId: 'ada', placedFrom: '2026-03-01T00:00:00.000Z' },
    response: {
      items: [
        {
          orderId: 'order-1001',
          customerId: 'ada',
          status: 'completed',
          total: euros(2500),
          lineCount: 1,
          placedAt: STARTED_AT,
          closedAt: ENDED_AT,
        },
      ],
    },
  },
  getOrder: { parameters: { orderId: 'order-1001' }, response: order('order-1001') },
  changeManyOrders: {
    body: { action: 'cancel', filter: { customerId: 'ada' }, limit: 50, dryRun: true },
    response: { dryRun: true, matchCount: 1, hasMore: false, items: [{ id: 'order-1001', result: 'planned' }] },
  },
  cancelOrder: {
    parameters: { orderId: 'order-1002' },
    body: { reason: 'changed my mind' },
    response: {
      ...order('order-1002'),
      status: 'processing',
      stage: 'compensating',
      shipment: { shipmentId: 'ship-1002', status: 'requested' },
      cancellation: { requestedAt: ENDED_AT, reason: 'changed my mind' },
      compensations: [{ name: 'cancelShipment', status: 'started', startedAt: ENDED_AT, attempt: 1 }],
    },
  },
  resolveCompensation: {
    parameters: { orderId: 'order-1003' },
    body: { compensation: 'refundPayment', attempt: 1, action: 'retry' },
    response: {
      ...order('order-1003'),
      status: 'processing',
      stage: 'compensating',
      shipment: { shipmentId: 'ship-1003', status: 'cancelled' },
      cancellation: { requestedAt: ENDED_AT },
      compensations: [
        compensatedStep('cancelShipment'),
        { name: 'refundPayment', status: 'started', startedAt: ENDED_AT, attempt: 2 },
        compensatedStep('releaseStock'),
      ],
    },
  },
  resolveDelivery: {
    parameters: { orderId: 'order-1005' },
    body: { attempt: 1, action: 'wait', extendBySeconds: 86_400 },
    response: {
      ...order('order-1005'),
      status: 'processing',
      stage: 'in_transit',
      shipment: { shipmentId: 'ship-1005', status: 'in_transit' },
      delivery: { dueAt: DUE_AT, attempt: 1 },
    },
  },

  listCarts: {
    parameters: { limit: 20, status: 'open', customerId: 'ada' },
    response: { items: [{ cartId: 'cart-1001', customerId: 'ada', status: 'open', openedAt: STARTED_AT }] },
  },
  getCart: { parameters: { cartId: 'cart-1001' }, response: cart('cart-1001') },
  addItem: { parameters: { cartId: 'cart-1001' }, body: mugLine, response: cart('cart-1001') },
  setQuantity: {
    parameters: { cartId: 'cart-1001', sku: 'MUG-ENAMEL' },
    body: { quantity: 2 },
    response: cart('cart-1001'),
  },
  removeItem: {
    parameters: { cartId: 'cart-1001', sku: 'MUG-ENAMEL' },
    response: { ...cart('cart-1001'), lines: [], total: undefined },
  },
  checkOut: {
    parameters: { cartId: 'cart-1002' },
    body: { payment: card, customerId: 'ada' },
    response: { ...cart('cart-1002'), status: 'checked_out', orderId: RUN_ID, expiresAt: undefined },
  },
  abandonCart: {
    parameters: { cartId: 'cart-1003' },
    response: { ...cart('cart-1003'), status: 'abandoned', expiresAt: undefined },
  },

  requestApproval: {
    body: approvalRequest('new-roaster', 'Buy a new roaster?'),
    response: { approvalId: 'new-roaster', status: 'pending' },
  },
  listApprovals: {
    parameters: { limit: 20, status: 'pending', approver: 'grace' },
    response: {
      items: [
        {
          approvalId: 'new-roaster',
          status: 'pending',
          title: 'Buy a new roaster?',
          requestedBy: 'ada',
          amount: euros(1_250_000),
          stage: 1,
          stages: 2,
          approvers: ['grace'],
          deadline: DUE_AT,
          startedAt: STARTED_AT,
        },
      ],
    },
  },
  getApproval: {
    parameters: { approvalId: 'new-roaster' },
    response: { ...approval('new-roaster', 'Buy a new roaster?'), ifUndecided: { nextApprovers: ['manager'] } },
  },
  decideApproval: {
    parameters: { approvalId: 'new-grinder' },
    body: decision,
    response: {
      ...approval('new-grinder', 'Buy a new grinder?'),
      status: 'approved',
      decision: { ...decision, via: 'api', stage: 1, at: ENDED_AT },
      trail: [requestedEvent, { ...decision, at: ENDED_AT, event: 'decided', stage: 1, via: 'api' }],
    },
  },
  withdrawApproval: {
    parameters: { approvalId: 'new-sign' },
    body: { reason: 'we keep the old one' },
    response: {
      ...approval('new-sign', 'Buy a new sign?'),
      status: 'withdrawn',
      withdrawal: { at: ENDED_AT, reason: 'we keep the old one' },
      trail: [requestedEvent, { at: ENDED_AT, event: 'withdrawn', stage: 1 }],
    },
  },
  openApprovalPage: { parameters: { token: 'eyJhbGciOiJIUzI1NiJ9.eyJhcHByb3ZhbCI6Im5ldy1yb2FzdGVyIn0.c2lnbmF0dXJl' } },
  submitApprovalForm: {
    parameters: { token: 'eyJhbGciOiJIUzI1NiJ9.eyJhcHByb3ZhbCI6Im5ldy1zaWduIn0.c2lnbmF0dXJl' },
    body: { decision: 'approve', comment: 'Take the second one.' },
  },

  uploadBatch: {
    parameters: { operation: 'restock', batchId: 'restock-1001', itemsPerChunk: 1_000 },
    bodies: {
      'application/x-ndjson': restockItems.map((item) => `${JSON.stringify(item)}\n`).join(''),
      'text/csv': ['sku,quantity', ...restockItems.map(({ sku, quantity }) => `${sku},${quantity}`), ''].join('\n'),
    },
    response: { batchId: 'restock-1001', status: 'running', total: 3 },
  },
  listBatches: {
    parameters: { limit: 20, status: 'completed_with_failures' },
    response: {
      items: [
        {
          batchId: 'restock-1001',
          status: 'completed_with_failures',
          operation: 'restock',
          total: 3,
          succeeded: 2,
          failed: 1,
          asOf: ENDED_AT,
          uploadedAt: STARTED_AT,
          startedAt: STARTED_AT,
          closedAt: ENDED_AT,
        },
      ],
    },
  },
  getBatch: {
    parameters: { batchId: 'restock-1001' },
    response: { ...batch('restock-1001', 'completed_with_failures'), closedAt: ENDED_AT },
  },
  listBatchFailures: {
    parameters: { batchId: 'restock-1001', limit: 20 },
    response: {
      items: [
        {
          line: 3,
          item: restockItems[2],
          reason: { type: 'UnknownSku', message: 'not in the catalogue: KETTLE-ELECTRIC' },
        },
      ],
    },
  },
  downloadBatchFailures: {
    parameters: { batchId: 'restock-1001' },
    responses: {
      'application/x-ndjson': `${JSON.stringify(restockItems[2])}\n`,
      'text/csv': 'sku,quantity\nKETTLE-ELECTRIC,30\n',
    },
  },
  followBatch: {
    parameters: { batchId: 'restock-1001' },
    response: `retry: 2000\n\nevent: progress\ndata: ${JSON.stringify(batch('restock-1001'))}\n\n`,
  },
  pauseBatch: { parameters: { batchId: 'restock-1002' }, response: batch('restock-1002', 'paused') },
  resumeBatch: { parameters: { batchId: 'restock-1003' }, response: batch('restock-1003') },
  cancelBatch: { parameters: { batchId: 'restock-1004' }, response: batch('restock-1004') },
  changeManyBatches: {
    body: { action: 'retry', batchIds: ['restock-1001', 'restock-1002'] },
    response: {
      dryRun: false,
      matchCount: 2,
      hasMore: false,
      items: [
        { id: 'restock-1001', result: 'done' },
        {
          id: 'restock-1002',
          result: 'rejected',
          problem: '/problems/batch-running',
          detail: 'batch restock-1002 is running',
        },
      ],
    },
  },
  retryBatch: { parameters: { batchId: 'restock-1001' }, response: { ...batch('restock-1001'), attempt: 2 } },

  encodePayloads: { parameters: { 'x-namespace': 'default' }, body: PAYLOADS, response: ENCRYPTED_PAYLOADS },
  decodePayloads: { parameters: { 'x-namespace': 'default' }, body: PAYLOADS, response: PAYLOADS },

  receiveShipmentCallback: {
    body: { orderId: 'order-1004', shipmentId: 'ship-1004', status: 'in_transit' },
    status: 202,
    response: { status: 'accepted' },
  },
  listUnhandledShipmentReports: {
    parameters: { limit: 20, reason: 'unknown_status' },
    response: {
      items: [
        {
          webhookId: 'msg_1001',
          orderId: 'order-1004',
          shipmentId: 'ship-1004',
          status: 'out_for_delivery',
          reason: 'unknown_status',
          receivedAt: ENDED_AT,
        },
      ],
    },
  },
  receiveDecisionCallback: {
    body: { approvalId: 'new-oven', approver: 'erp', decision: 'approve' },
    status: 202,
    response: { status: 'accepted' },
  },
  receiveStripeEvent: {
    body: {
      id: 'evt_1001',
      type: 'payment_intent.succeeded',
      data: { object: { id: 'pi_1001', object: 'payment_intent', metadata: { orderId: 'order-1001' } } },
    },
    status: 202,
    response: { status: 'accepted' },
  },
  receiveSlackInteraction: {
    body: { payload: JSON.stringify(SLACK_SUBMISSION) },
    response: {
      response_action: 'errors',
      errors: {
        comment:
          'You cannot decide here, because your Slack user is not connected to an approver. Your decision was not recorded.',
      },
    },
  },
};
