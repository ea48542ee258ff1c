import { EventEmitter, once } from 'node:events';
import PgBoss from 'pg-boss';
import { CardDeclined, createOrderSteps } from './order-steps.mjs';
import { serveOrders } from './http-server.mjs';

/**
 * The order on a job queue, with hand-written recovery: a job advances an order step by step, and the table `progress`
 * says which steps have been done. A job that is lost with its process is repeated after its time has expired.
 */
const { DATABASE_URL, FAKES_URL } = process.env;
const steps = createOrderSteps({ databaseUrl: DATABASE_URL, fakesUrl: FAKES_URL });
const { pool } = steps;
const QUEUE = 'advance-order';
const EXPIRE_SECONDS = 5;

const ended = new EventEmitter().setMaxListeners(0);
const boss = new PgBoss({
  connectionString: DATABASE_URL,
  maintenanceIntervalSeconds: 1,
  monitorStateIntervalSeconds: 1,
});
boss.on('error', (error) => console.error(error));
let workerId;

await steps.createTables();
await pool.query(`create table if not exists progress (
  id text primary key, input jsonb not null, step text not null default 'placed',
  picked_up boolean not null default false, delivered boolean not null default false)`);
await boss.start();
await boss.createQueue(QUEUE, {
  name: QUEUE,
  retryLimit: 1_000,
  retryDelay: 1,
  retryBackoff: false,
  expireInSeconds: EXPIRE_SECONDS,
});

const saveStep = (orderId, step) => pool.query('update progress set step = $2 where id = $1', [orderId, step]);

async function readProgress(orderId) {
  const { rows } = await pool.query('select * from progress where id = $1', [orderId]);
  return rows[0];
}

/** Does the steps of an order that are possible now. May be called again after any crash. */
async function advance(orderId) {
  const progress = await readProgress(orderId);
  const { input } = progress;
  let { step } = progress;
  if (step === 'placed') {
    await steps.reserve(input);
    await saveStep(orderId, (step = 'reserved'));
  }
  if (step === 'reserved') {
    try {
      await steps.charge(input);
      step = 'charged';
    } catch (error) {
      if (!(error instanceof CardDeclined)) throw error;
      step = 'declining';
    }
    await saveStep(orderId, step);
  }
  if (step === 'declining') {
    await steps.refund(input);
    await steps.release(input);
    await saveStep(orderId, 'declined');
  }
  if (step === 'charged') {
    await steps.ship(input);
    await saveStep(orderId, (step = 'shipped'));
  }
  if (step === 'shipped') {
    const { picked_up, delivered } = await readProgress(orderId);
    if (!picked_up || !delivered) return;
    await steps.complete(input);
    await saveStep(orderId, 'completed');
  }
  ended.emit(orderId);
}

async function sendJob(orderId) {
  await boss.send(QUEUE, { orderId });
  boss.notifyWorker(workerId);
}

workerId = await boss.work(QUEUE, { batchSize: 20, pollingIntervalSeconds: 0.5, includeMetadata: false }, (jobs) =>
  Promise.all(jobs.map(({ data }) => advance(data.orderId))),
);

const isEnded = (step) => step === 'completed' || step === 'declined';

await serveOrders({
  async start(input) {
    await pool.query('insert into progress (id, input) values ($1, $2) on conflict do nothing', [input.orderId, input]);
    await sendJob(input.orderId);
  },
  async resultOf(orderId) {
    const end = once(ended, orderId);
    const { step } = await readProgress(orderId);
    if (isEnded(step)) return step;
    await end;
    return (await readProgress(orderId)).step;
  },
  async report({ orderId, status }) {
    const column = status === 'delivered' ? 'delivered' : 'picked_up';
    await pool.query(`update progress set ${column} = true where id = $1`, [orderId]);
    // Also for a repeated report, because this process may have ended between the two statements.
    if (status === 'delivered') await sendJob(orderId);
  },
});
