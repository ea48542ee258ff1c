import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../../../src/store/index.js';
import { grantAppRolePrivileges, TableOwnerRoleError } from '../../../src/store/postgres/privileges.js';
import { APP_ROLE, createDatabase } from '../../support/database/database.js';
import { stageTestBatch } from '../../support/shop/batches.js';

const INSUFFICIENT_PRIVILEGE = '42501';

describe('the app role (the database role of the API and the worker)', () => {
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let owner: Store;
  let app: Store;

  beforeAll(async () => {
    database = await createDatabase();
    const open = (databaseUrl: string) => openStore({ databaseUrl, maxConnections: 1, onIdleError: () => undefined });
    owner = open(database.url);
    app = open(database.appUrl);
  });
  afterAll(async () => {
    await Promise.all([owner.close(), app.close()]);
    await database.drop();
  });

  const query = (text: string) => sql.raw(text).execute(app.db);

  test.each([
    ['create a table', 'create table more ()'],
    ['change a table', 'alter table products add column more text'],
    ['empty a table', 'truncate products cascade'],
    ['insert a product', `insert into products values ('A', 'A', 1, 'EUR', 1)`],
    ['rename a product', `update products set name = 'B'`],
    ['delete an order', 'delete from orders'],
    ['change the owner of an order', `update orders set first_run_id = 'B'`],
    ['delete the chunks of a batch', 'delete from batch_chunks'],
    ['read the migrations', 'select * from kysely_migration'],
    ['set the sequence of batch numbers', `select setval('batches_number_seq', 1)`],
  ])('the app role is not allowed to %s', async (_, text) => {
    await expect(query(text)).rejects.toMatchObject({ code: INSUFFICIENT_PRIVILEGE });
  });

  test('the app role can delete the chunks of an upload, but not the chunks of a batch', async () => {
    const batchId = await stageTestBatch(owner, { items: [{ n: 1 }] });
    const { attemptId } = (await owner.openAttempt(batchId, 'run'))!;
    await query(`insert into batch_chunks (attempt_id, chunk_index, items, item_count) values (-1, 0, '[]', 1)`);

    await query(`insert into batch_uploads (attempt_id, batch_id, items_per_chunk) values (${attemptId}, 'x', 1)`);
    await query(`select delete_upload_chunks(${attemptId}, 0, 10)`);
    await query('select delete_upload_chunks(-1, 0, 10)');

    const { rows } = await sql`select attempt_id from batch_chunks`.execute(owner.db);
    expect(rows).toEqual([{ attempt_id: attemptId }]);
  });

  test('grantAppRolePrivileges revokes privileges that the app role does not need', async () => {
    const grants = async () => {
      const { rows } = await sql<{ grant: string }>`
        select format('%s %s %s', table_name, column_name, privilege_type) as grant
        from information_schema.column_privileges where grantee = ${APP_ROLE} order by 1`.execute(owner.db);
      return rows.map((row) => row.grant);
    };
    const before = await grants();
    await sql.raw(`grant all on all tables in schema public to ${APP_ROLE}`).execute(owner.db);
    expect((await grants()).length).toBeGreaterThan(before.length);

    await grantAppRolePrivileges(owner.db, APP_ROLE);

    expect(await grants()).toEqual(before);
    await expect(query('delete from orders')).rejects.toMatchObject({ code: INSUFFICIENT_PRIVILEGE });
  });

  test('grantAppRolePrivileges fails when the app role does not exist', async () => {
    await expect(grantAppRolePrivileges(owner.db, 'nobody else')).rejects.toMatchObject({ code: '42704' });
  });

  test('grantAppRolePrivileges rejects a role that owns tables, and the role keeps its privileges', async () => {
    const { rows } = await sql<{ name: string }>`select current_user as name`.execute(owner.db);
    await expect(grantAppRolePrivileges(owner.db, rows[0]!.name)).rejects.toThrow(TableOwnerRoleError);
    await sql.raw('select 1 from kysely_migration').execute(owner.db);

    await sql.raw(`alter table notifications owner to ${APP_ROLE}`).execute(owner.db);
    try {
      await expect(grantAppRolePrivileges(owner.db, APP_ROLE)).rejects.toThrow(TableOwnerRoleError);
    } finally {
      await sql.raw(`alter table notifications owner to current_user`).execute(owner.db);
      await grantAppRolePrivileges(owner.db, APP_ROLE);
    }
  });

  test('the app role can read every table except the migration tables', async () => {
    const { rows } = await sql`
      select tablename from pg_tables
      where schemaname = 'public' and tablename not like 'kysely%'
        and not has_table_privilege(${APP_ROLE}, format('%I.%I', schemaname, tablename), 'select')`.execute(owner.db);
    expect(rows).toEqual([]);
  });
});
