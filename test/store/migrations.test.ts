import { sql } from 'kysely';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { openStore, type Store } from '../../src/store/index.js';
import { migrate, migrations } from '../../src/store/migrations/index.js';
import { SQLSTATE, sqlStateOf } from '../../src/store/postgres/sqlstate.js';
import { createTemporaryDatabase, type TemporaryDatabase } from '../support/database/database.js';
import { lockApprovals, terminateBlockedConnections } from '../support/database/database-lock.js';

const names = Object.keys(migrations);
/** Changes the table of approvals, so `lockApprovals` blocks this migration. */
const BLOCKED = '0017-operator-counts';
const blockedAt = names.indexOf(BLOCKED);
const earlier = Object.fromEntries(Object.entries(migrations).slice(0, blockedAt - 2));
const [twoBefore, oneBefore] = names.slice(blockedAt - 2, blockedAt);

let database: TemporaryDatabase;
let store: Store;
let other: Store;

beforeEach(async () => {
  database = await createTemporaryDatabase(inject('databaseUrl'));
  const open = () => openStore({ databaseUrl: database.url, maxConnections: 2, onIdleError: () => undefined });
  [store, other] = [open(), open()];
});
afterEach(async () => {
  // Dropped first, so that a failed test whose migration is blocked can close its store.
  await database.drop();
  await Promise.all([store.close(), other.close()]);
});

async function appliedMigrations(): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(other.db);
  return rows.map(({ name }) => name);
}

test('commits each migration, so a later migration that waits keeps no lock of an earlier one', async () => {
  await migrate(store.db, earlier);
  const lock = await lockApprovals(database.url);
  const migrating = migrate(store.db);
  await lock.waitForBlocked();

  expect((await appliedMigrations()).slice(-2)).toEqual([twoBefore, oneBefore]);
  // `0015-chunk-steps` locks this table.
  await other.db
    .transaction()
    .execute((tx) => sql`lock table batch_chunks in access exclusive mode nowait`.execute(tx));
  await lock.release();
  expect(await migrating).toEqual(names.slice(blockedAt - 2));
});

test('a setup that is killed keeps the migrations that it has applied, and the next setup applies the others', async () => {
  await migrate(store.db, earlier);
  const lock = await lockApprovals(database.url);
  const migrating = migrate(store.db).catch((error: unknown) => error);
  await lock.waitForBlocked();
  await terminateBlockedConnections(database.url);
  expect(await migrating).toBeInstanceOf(Error);
  await lock.release();

  expect(await migrate(other.db)).toEqual(names.slice(blockedAt));
  expect(await appliedMigrations()).toEqual(names);
});

test('two setups at the same time apply each migration once', async () => {
  const [first, second] = await Promise.all([migrate(store.db), migrate(other.db)]);
  expect([...first, ...second].sort()).toEqual(names);
  expect(await appliedMigrations()).toEqual(names);
});

test('a second setup fails when one migration of the first setup takes too long, and the first setup completes', async () => {
  await migrate(store.db, earlier);
  const lock = await lockApprovals(database.url);
  const migrating = migrate(store.db);
  await lock.waitForBlocked();
  const error: unknown = await migrate(other.db).catch((reason: unknown) => reason);
  expect(sqlStateOf(error)).toBe(SQLSTATE.queryCanceled);
  await lock.release();

  expect(await migrating).toEqual(names.slice(blockedAt - 2));
  expect(await migrate(other.db)).toEqual([]);
});
