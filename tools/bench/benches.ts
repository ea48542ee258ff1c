import type { Bench } from './bench.js';

/** All benches, in the order of the page. Each loads its code only when it runs, because the page does not need it. */
export const benches: readonly Bench[] = [
  {
    name: 'order',
    title: 'The order against a bare workflow',
    description:
      'The complete saga, from its start to `completed`, with database, payment gateway, carrier and his two callbacks; beside ' +
      'it a workflow that calls three regular activities which do nothing, one after the other, on the same dev server and on a ' +
      'worker process with the same settings. Three local activities are there for information: they are the least that ' +
      'Temporal can do for three steps. Twenty callers for the rate, one for the latencies.',
    run: async (effort) => (await import('./benches/order.js')).benchOrder(effort),
  },
  {
    name: 'histories',
    title: 'What is written to histories',
    description:
      'Events and bytes, as the server counts them, against the bare workflow of three regular activities. A change of a cart ' +
      'and an item of a batch are what each of many adds.',
    run: async (effort) => (await import('./benches/histories.js')).benchHistories(effort),
  },
  {
    name: 'cart',
    title: 'A change of a cart',
    description:
      'From the call to its answer, one caller. The base is what the API itself calls, update-with-start on a cart that is ' +
      'open, by a client without HTTP.',
    run: async (effort) => (await import('./benches/cart.js')).benchCart(effort),
  },
  {
    name: 'memory',
    title: 'Memory of cached workflows',
    description:
      'How much the heap of a worker grows for each workflow that waits in its cache, after garbage collection. The bare one is ' +
      'in the same bundle and only waits.',
    run: async (effort) => (await import('./benches/memory.js')).benchMemory(effort),
  },
  {
    name: 'start',
    title: 'Start and recovery of a worker',
    description:
      'From the start of the process until it says that it polls. Then a worker is killed with SIGKILL when the first of ten orders is done, ' +
      'and another one is started at once, as a supervisor would: how long until an order completes that was placed at that ' +
      'moment, and how long until the ten have. What the dead worker had taken is given to another only after its time-out: ' +
      'ten seconds for a workflow task, five without a heartbeat for an activity.',
    run: async (effort) => (await import('./benches/start.js')).benchStart(effort),
  },
  {
    name: 'replay',
    title: 'Replay',
    description:
      'Histories that a server has just written, replayed one after the other: the bare ones with a bundle of nothing else, ' +
      "those of the shop with the shop's bundle.",
    run: async (effort) => (await import('./benches/replay.js')).benchReplay(effort),
  },
  {
    name: 'batch',
    title: 'A batch of a million items',
    description:
      'Against what PostgreSQL does with the same items, COPY and the same SQL task after task, without a workflow. Then against ' +
      'one activity an item, and against a small batch: time an item and peak memory of the worker by size. Each round has a ' +
      'worker of its own.',
    run: async (effort) => (await import('./benches/batch.js')).benchBatch(effort),
  },
  {
    name: 'batch-tree',
    title: 'A batch as a tree',
    description:
      'Tasks of one item each: one workflow that has a thousand of them, and children that have a thousand each.',
    run: async (effort) => (await import('./benches/batch.js')).benchBatchTree(effort),
  },
  {
    name: 'http',
    title: 'HTTP against the bare client',
    description:
      'Call by call, one caller, in four ways; then how many requests a second one API process answers and how many two, with ' +
      'load, Temporal, PostgreSQL and worker on the same processors.',
    run: async (effort) => (await import('./benches/http.js')).benchHttp(effort),
  },
  {
    name: 'observability',
    title: 'Metrics, traces, encryption',
    description:
      'Orders through HTTP, ten at a time, with nothing on and with each of them, on the same servers with a worker and an API each. ' +
      'Metrics are read three times as often as `deploy/observability` does, spans go to a sink that forgets them.',
    run: async (effort) => (await import('./benches/observability.js')).benchObservability(effort),
  },
  {
    name: 'workers',
    title: 'More workers',
    description:
      'Orders with one, two and four worker processes on the full server with PostgreSQL, forty at a time. First the payment ' +
      'gateway answers at once, and the processors of the machine are the bound; then it takes half a second and a worker calls it ' +
      'twice at a time, and the workers are. [Capacity](operations.md#capacity) says what follows from it.',
    run: async (effort) => (await import('./benches/workers.js')).benchWorkers(effort),
  },
];
