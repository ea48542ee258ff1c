import { sql, type Kysely } from 'kysely';

/**
 * Adds to each product how many pieces are reserved by open orders and how many are sold. Triggers change the counts
 * in the transaction that changes an order. So the counts are right for every process that writes orders, also while an
 * older version of the worker still runs.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table products
      add column reserved integer not null default 0,
      add column sold bigint not null default 0`.execute(db);
  // Locks products in SKU order, so that concurrent transactions cannot deadlock.
  await sql`
    create function change_stock_counts(skus text[], reserved_changes bigint[], sold_changes bigint[])
    returns void language sql as $$
      with locked as materialized (
        select sku, change.reserved, change.sold
        from products
        join unnest(skus, reserved_changes, sold_changes) as change (sku, reserved, sold) using (sku)
        order by sku
        for no key update of products
      )
      update products set reserved = products.reserved + locked.reserved, sold = products.sold + locked.sold
      from locked
      where products.sku = locked.sku
    $$`.execute(db);
  await sql`
    create function count_new_orders() returns trigger language plpgsql as $$
    begin
      perform change_stock_counts(array_agg(sku), array_agg(reserved), array_agg(sold))
      from (
        select sku,
          sum(quantity * (reservation = 'reserved')::int) as reserved,
          sum(quantity * (reservation = 'sold')::int) as sold
        from new_orders, jsonb_to_recordset(lines) as line (sku text, quantity int)
        where reservation in ('reserved', 'sold')
        group by sku
      ) as change
      having count(*) > 0;
      return null;
    end $$`.execute(db);
  // Adds the lines of the new rows and subtracts the lines of the old rows. They cancel out if only the status changes.
  await sql`
    create function count_changed_orders() returns trigger language plpgsql as $$
    begin
      perform change_stock_counts(array_agg(sku), array_agg(reserved), array_agg(sold))
      from (
        select sku,
          sum(factor * quantity * (reservation = 'reserved')::int) as reserved,
          sum(factor * quantity * (reservation = 'sold')::int) as sold
        from (
          select 1 as factor, reservation, lines from new_orders
          union all
          select -1, reservation, lines from old_orders
        ) as version, jsonb_to_recordset(lines) as line (sku text, quantity int)
        where reservation in ('reserved', 'sold')
        group by sku
      ) as change
      where reserved <> 0 or sold <> 0
      having count(*) > 0;
      return null;
    end $$`.execute(db);
  await sql`
    create trigger orders_count_new after insert on orders
      referencing new table as new_orders
      for each statement execute function count_new_orders()`.execute(db);
  await sql`
    create trigger orders_count_changed after update on orders
      referencing old table as old_orders new table as new_orders
      for each statement execute function count_changed_orders()`.execute(db);
  // Counts the existing orders. Creating the triggers has locked the table, so no order changes in the meantime.
  await sql`set local statement_timeout = 0`.execute(db);
  await sql`
    update products set reserved = counted.reserved, sold = counted.sold
    from (
      select sku,
        coalesce(sum(quantity) filter (where reservation = 'reserved'), 0) as reserved,
        coalesce(sum(quantity) filter (where reservation = 'sold'), 0) as sold
      from orders, jsonb_to_recordset(lines) as line (sku text, quantity int)
      where reservation in ('reserved', 'sold')
      group by sku
    ) as counted
    where products.sku = counted.sku`.execute(db);
  await sql`create index products_by_sku_prefix on products (sku text_pattern_ops)`.execute(db);
  await sql`create index products_by_name on products using gin (to_tsvector('simple', name))`.execute(db);
  await sql`create index products_not_sold on products (sku) where sold = 0`.execute(db);
  await sql`create index products_sold on products (sku) where sold > 0`.execute(db);
}
