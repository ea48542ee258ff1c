import pg from 'pg';
import { request } from 'undici';

/** The customer's bank declined the card. A retry would not help. */
export class CardDeclined extends Error {
  name = 'CardDeclined';
}

/** The steps of an order, for all engines. Every step is idempotent, so that an engine may repeat it. */
export function createOrderSteps({ databaseUrl, fakesUrl }) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });

  async function inTransaction(work) {
    const client = await pool.connect();
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback');
      throw error;
    } finally {
      client.release();
    }
  }

  /** @throws CardDeclined */
  async function post(path, key, body) {
    const response = await request(`${fakesUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    const text = await response.body.text();
    if (response.statusCode < 300) return JSON.parse(text);
    if (response.statusCode === 402) throw new CardDeclined(text);
    throw new Error(`${path} returned ${response.statusCode}: ${text}`);
  }

  return {
    async createTables() {
      await pool.query(`
        create table if not exists products (sku text primary key, available int not null check (available >= 0));
        create table if not exists orders (id text primary key, sku text not null, status text not null);
        insert into products values ('BENCH', 1000000) on conflict do nothing`);
    },
    reserve: ({ orderId, sku }) =>
      inTransaction(async (client) => {
        const inserted = await client.query(`insert into orders values ($1, $2, 'reserved') on conflict do nothing`, [
          orderId,
          sku,
        ]);
        if (inserted.rowCount)
          await client.query('update products set available = available - 1 where sku = $1', [sku]);
      }),
    release: ({ orderId, sku }) =>
      inTransaction(async (client) => {
        const released = await client.query(
          `update orders set status = 'declined' where id = $1 and status <> 'declined'`,
          [orderId],
        );
        if (released.rowCount)
          await client.query('update products set available = available + 1 where sku = $1', [sku]);
      }),
    charge: ({ orderId, token }) =>
      post('/payments/charges', `${orderId}:charge`, { orderId, token, amount: { value: 1, currency: 'EUR' } }),
    refund: ({ orderId }) => post('/payments/refunds', `${orderId}:refund`, { orderId }),
    ship: ({ orderId, sku }) =>
      post('/carrier/shipments', `${orderId}:shipment`, { orderId, lines: [{ sku, quantity: 1 }] }),
    complete: ({ orderId }) => pool.query(`update orders set status = 'completed' where id = $1`, [orderId]),
    pool,
  };
}
