import type { Bench } from './bench.js';

/**
 * All benches, in the order of the page. Each bench imports its code only when it runs, because rendering the page does
 * not need that code.
 */
export const benches: readonly Bench[] = [
  {
    name: 'order',
    title: 'The order compared with a no-op workflow',
    description:
      'Measures the complete saga from its start to `completed`, with database, payment gateway, carrier and two ' +
      'carrier callbacks. The first baseline is a workflow with three regular activities that do nothing. These activities ' +
      'run one after the other on the same dev server, in a worker with the same settings. The bench also measures ' +
      'three local activities, because they are the cheapest way to run three steps on Temporal. The second baseline, ' +
      'the skeleton, has the events of an order (activities, signals, timer, search attributes) but not its work: the ' +
      'skeleton against three activities is the cost of the pattern, and an order against the skeleton is the cost of ' +
      'the database, the partners and the code of this project. Twenty clients measure the rate, and one client ' +
      'measures the latency.',
    run: async (scale) => (await import('./benches/order.js')).benchOrder(scale),
  },
  {
    name: 'changes',
    title: 'Changes of the order path',
    description:
      'Compares the orders of two checkouts: one with a change, and one without it. Two stacks run side by side, and ' +
      'get orders in alternating rounds. The code contains all of these changes except two. A charge on the queue of ' +
      'orders would save a call, but the separate queue `payments` limits the rate of charges of all workers together. ' +
      'Without its last upsert, a completed order would stay `processing` in lists by `OrderStatus`. ' +
      'To repeat a comparison, make the change in one of two checkouts, and run ' +
      '`npm run bench -- changes --change <name> --against <folder>` in it. The results of other changes stay.',
    run: async (scale, change) => (await import('./benches/changes.js')).benchChange(scale, change!),
    needsChange: true,
  },
  {
    name: 'histories',
    title: 'History size',
    description:
      'Measures the events and bytes of a history, as the server counts them. The baseline is the workflow with three ' +
      'regular activities. For a cart change and a batch item, the figure is the growth of the history per ' +
      'additional change or item.',
    run: async (scale) => (await import('./benches/histories.js')).benchHistories(scale),
  },
  {
    name: 'cart',
    title: 'Cart changes',
    description:
      'Measures the latency of a cart change with one client. The baseline is the call that the API itself makes: ' +
      'update-with-start on an open cart. In the baseline, the SDK client makes this call without HTTP.',
    run: async (scale) => (await import('./benches/cart.js')).benchCart(scale),
  },
  {
    name: 'memory',
    title: 'Memory of cached workflows',
    description:
      'Measures how much the heap of a worker grows for each waiting workflow in its cache, after garbage ' +
      'collection. The first baseline is a workflow in the same bundle that only waits. The second baseline is the ' +
      'same workflow when each workflow loads its own modules, which is the default of the SDK.',
    run: async (scale) => (await import('./benches/memory.js')).benchMemory(scale),
  },
  {
    name: 'start',
    title: 'Worker start and recovery',
    description:
      'First measures the time from the start of a worker process until it polls. Then the bench kills the worker ' +
      'with SIGKILL when the first of ten orders is completed. A second worker starts immediately, as under a ' +
      'supervisor, and a new order is placed. The bench measures how long the new order and the ten orders take. ' +
      'Temporal gives the tasks of the killed worker to the new worker only after their timeouts: five seconds for a ' +
      'workflow task of an order, ten seconds by default, and five seconds without a heartbeat for an activity.',
    run: async (scale) => (await import('./benches/start.js')).benchStart(scale),
  },
  {
    name: 'replay',
    title: 'Replay',
    description:
      'Replays histories that a server has just written, one after the other. The baseline workflows use a bundle ' +
      'without other workflows. The workflows of the shop use the bundle of the shop.',
    run: async (scale) => (await import('./benches/replay.js')).benchReplay(scale),
  },
  {
    name: 'batch',
    title: 'A batch of a million items',
    description:
      'The baseline is PostgreSQL alone with the same items: one COPY, then the same SQL for each chunk, without a ' +
      'workflow. Other rows compare a batch with one activity per item. They also compare the time per item and the ' +
      'peak memory of the worker in a large batch and a small batch. Each round uses a new worker.',
    run: async (scale) => (await import('./benches/batch.js')).benchBatch(scale),
  },
  {
    name: 'batch-tree',
    title: 'A batch as a tree',
    description:
      'Compares a batch in one workflow of a thousand chunks with a tree whose children have a thousand chunks ' +
      'each. Each chunk has one item.',
    run: async (scale) => (await import('./benches/batch.js')).benchBatchTree(scale),
  },
  {
    name: 'fairness',
    title: 'A small batch beside a large one',
    description:
      'Measures a batch of 20 chunks on the full server, with one worker that runs four chunks at once. The baseline runs ' +
      'alone. In the other variants, a batch of 10,000 chunks has 200 open chunks, as a batch of a million has. If both ' +
      'batches belong to the same caller, the server runs the chunks in the sequence of their starts, as without ' +
      'fairness.',
    run: async (scale) => (await import('./benches/fairness.js')).benchFairness(scale),
  },
  {
    name: 'order-locks',
    title: 'Orders beside a batch of price changes',
    description:
      'Measures whole orders, five a second, from the request until they are completed; and the statement that reserves ' +
      'the stock of an order, 50 times a second. The baseline has no batch. In the other variants, a batch of a million ' +
      'price changes runs on 5,000 products: those of the orders, so that orders and batch need the same row locks, or ' +
      'others, so that the ratio contains only the wait for a processor. Every order must complete.',
    run: async (scale) => (await import('./benches/order-locks.js')).benchOrderLocks(scale),
  },
  {
    name: 'stock',
    title: 'Reservations of one product and of many',
    description:
      'Measures how many reservations per second PostgreSQL alone can do, without Temporal. Sixteen connections reserve ' +
      'one piece per order. In the baseline, all orders have the same SKU; in the variants, the orders are spread over ' +
      'several SKUs. The last rows show what limits one SKU: they use one connection, or commits that do not wait for ' +
      'the disk. See [One SKU in every order](../operations/scaling.md#one-sku-in-every-order) for the conclusions.',
    run: async (scale) => (await import('./benches/stock.js')).benchStock(scale),
  },
  {
    name: 'http',
    title: 'HTTP compared with the SDK client',
    description:
      'Measures the latency of single calls by one client, in four variants. Then the bench measures the requests per ' +
      'second of one and of two API processes. The load generator, Temporal, PostgreSQL and the worker share the processors with the API.',
    run: async (scale) => (await import('./benches/http.js')).benchHttp(scale),
  },
  {
    name: 'pages',
    title: 'Pages and lists with 100,000 orders',
    description:
      'Measures the time of each page of the console and of each list of the API, with one client. The baseline has ' +
      '1,000 orders. Each database has as many carts and products as orders, a tenth as many approvals and carrier ' +
      'reports, and a hundredth as many batches, but at least 200. Some filters select rows that are rare, old or at the end of the ' +
      'list, because an index that only sorts would then read most of the table. The search for `clearance` is the ' +
      'worst case: it matches only the second half of the products, which are too many to sort. Temporal has no ' +
      'workflows, so the counts of the home page are those of an empty shop.',
    run: async (scale) => (await import('./benches/pages.js')).benchPages(scale),
  },
  {
    name: 'observability',
    title: 'Metrics, traces, encryption',
    description:
      'Places orders over HTTP, ten at a time. The baseline has no metrics, traces and encryption. Each variant ' +
      'has one of these features, or all three. All variants use the same servers, and each variant has one worker and one API ' +
      'process. Metrics are scraped three times as often as in `deploy/observability`. Spans go to a receiver that ' +
      'discards them.',
    run: async (scale) => (await import('./benches/observability.js')).benchObservability(scale),
  },
  {
    name: 'workers',
    title: 'More workers',
    description:
      'Places orders, forty at a time, with one, two and four worker processes on the full server with PostgreSQL. ' +
      'In the first series the payment gateway responds immediately, so the processors of the machine are the ' +
      'bottleneck. In the second series, the gateway takes half a second and each worker makes only two calls at a ' +
      'time, so the workers are the bottleneck. See [Capacity](../operations/scaling.md) for the conclusions.',
    run: async (scale) => (await import('./benches/workers.js')).benchWorkers(scale),
  },
  {
    name: 'peers',
    title: 'The order on other engines',
    description:
      'Runs the same order on DBOS (a library that keeps workflows in PostgreSQL), Restate (a server with its own log) ' +
      'and pg-boss (a job queue in PostgreSQL, with recovery written by hand): reserve, charge, ship, two reports of the ' +
      'carrier, and compensation when the card is declined. The code is in `tools/bench/peers`. Each engine has one ' +
      'process, its own fake partners and its own database on the same PostgreSQL server; Temporal runs as the dev ' +
      'server with SQLite. The orders of the peers have less around them: no approval, no checks of the input and of ' +
      'signatures, no notifications, search attributes, metrics or lists. CPU time is that of the whole machine, less ' +
      'what it uses while idle. Recovery is measured like that of the worker above. In the last rows, each engine is ' +
      'killed three times during 100 orders, of which ten are declined. More charge calls than orders are repeated ' +
      'calls; the gateway accepts each charge once, because all engines send the same idempotency key. Temporal costs ' +
      'more here: each step of an order is written to the history by a separate server, and a new worker gets the ' +
      'tasks of a killed one only after their timeouts. The job queue is the cheapest, but every case of its recovery ' +
      'is code of the application: without the second job for a repeated report in `pg-boss.mjs`, a kill between two ' +
      'statements leaves an order open for ever. The first run installs the peers from the npm registry.',
    run: async (scale) => (await import('./benches/peers.js')).benchPeers(scale),
  },
];
