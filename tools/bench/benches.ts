import type { Bench } from './bench.js';

/** All benches, in the order of the page. Each loads its code only when it runs, because the page does not need it. */
export const benches: readonly Bench[] = [
  {
    name: 'order',
    title: 'The order against a bare workflow',
    description:
      'The complete saga from its start to `completed`, with database, payment gateway, carrier and two carrier ' +
      'callbacks. The base is a workflow with three regular activities that do nothing, run one after the other on ' +
      'the same dev server by a worker with the same settings. Three local activities are included for comparison, ' +
      'because they are the cheapest way to run three steps on Temporal. The rate is measured with twenty clients, ' +
      'the latency with one.',
    run: async (effort) => (await import('./benches/order.js')).benchOrder(effort),
  },
  {
    name: 'histories',
    title: 'History size',
    description:
      'Events and bytes, as the server counts them, against the bare workflow of three regular activities. The ' +
      'figures of a cart change and of a batch item are those that each additional change or item adds.',
    run: async (effort) => (await import('./benches/histories.js')).benchHistories(effort),
  },
  {
    name: 'cart',
    title: 'Cart changes',
    description:
      'Latency of a change with one client. The base is the call that the API itself makes: update-with-start on an ' +
      'open cart, by a client without HTTP.',
    run: async (effort) => (await import('./benches/cart.js')).benchCart(effort),
  },
  {
    name: 'memory',
    title: 'Memory of cached workflows',
    description:
      'Heap growth of a worker for each waiting workflow in its cache, after garbage collection. The bare workflow ' +
      'is in the same bundle and only waits.',
    run: async (effort) => (await import('./benches/memory.js')).benchMemory(effort),
  },
  {
    name: 'start',
    title: 'Worker start and recovery',
    description:
      'The time from the start of the process until the worker polls. Then a worker is killed with SIGKILL when the ' +
      'first of ten orders is completed, and another worker starts at once, as under a supervisor. The bench ' +
      'measures how long an order that is placed at that moment takes, and how long the ten orders take. Another ' +
      'worker gets the tasks of the dead worker only after their timeouts: ten seconds for a workflow task, five ' +
      'seconds without a heartbeat for an activity.',
    run: async (effort) => (await import('./benches/start.js')).benchStart(effort),
  },
  {
    name: 'replay',
    title: 'Replay',
    description:
      'Replays histories that a server has just written, one after the other: the bare workflows with a bundle that ' +
      'contains nothing else, and the workflows of the shop with the bundle of the shop.',
    run: async (effort) => (await import('./benches/replay.js')).benchReplay(effort),
  },
  {
    name: 'batch',
    title: 'A batch of a million items',
    description:
      'The base is PostgreSQL alone with the same items: COPY, then the same SQL chunk after chunk, without a ' +
      'workflow. The batch is also compared with one activity per item and with a small batch: time per item and ' +
      'peak memory of the worker. Each round uses a new worker.',
    run: async (effort) => (await import('./benches/batch.js')).benchBatch(effort),
  },
  {
    name: 'batch-tree',
    title: 'A batch as a tree',
    description:
      'Chunks of one item each: one workflow with a thousand chunks, and children with a thousand chunks each.',
    run: async (effort) => (await import('./benches/batch.js')).benchBatchTree(effort),
  },
  {
    name: 'http',
    title: 'HTTP against the bare client',
    description:
      'Latency of single calls by one client, in four variants. Then the requests per second of one and of two API ' +
      'processes. Load generator, Temporal, PostgreSQL and worker share the processors.',
    run: async (effort) => (await import('./benches/http.js')).benchHttp(effort),
  },
  {
    name: 'observability',
    title: 'Metrics, traces, encryption',
    description:
      'Orders over HTTP, ten at a time, with everything off and with each feature on, on the same servers with one ' +
      'worker and one API each. Metrics are scraped three times as often as in `deploy/observability`. Spans go to ' +
      'a receiver that discards them.',
    run: async (effort) => (await import('./benches/observability.js')).benchObservability(effort),
  },
  {
    name: 'workers',
    title: 'More workers',
    description:
      'Orders with one, two and four worker processes on the full server with PostgreSQL, forty at a time. First, ' +
      'the payment gateway responds at once, and the processors of the machine are the bottleneck. Then it takes ' +
      'half a second and each worker makes two calls at a time, so the workers are the bottleneck. ' +
      '[Capacity](operations.md#capacity) draws the conclusions.',
    run: async (effort) => (await import('./benches/workers.js')).benchWorkers(effort),
  },
];
