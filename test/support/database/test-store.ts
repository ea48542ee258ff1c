import { afterAll, beforeAll } from 'vitest';
import { openStore, type Store } from '../../../src/store/index.js';
import { createDatabase } from './database.js';

interface TestStoreOptions {
  /** The store has the privileges of the database owner, or of worker and API. Default: the owner's. */
  role?: 'owner' | 'app';
  /** Default: 1. */
  maxConnections?: number;
}

/** Time to fill a database with many rows on a busy machine. */
const FILL_TIMEOUT_MS = 120_000;

/** Registers the hooks that open a store on a separate database and close it. `onOpen` receives the store. */
export function useTestStore(
  onOpen: (store: Store) => Promise<void> | void,
  { role = 'owner', maxConnections = 1 }: TestStoreOptions = {},
): void {
  let database: Awaited<ReturnType<typeof createDatabase>> | undefined;
  let store: Store | undefined;
  beforeAll(async () => {
    database = await createDatabase();
    const databaseUrl = role === 'owner' ? database.url : database.appUrl;
    store = openStore({ databaseUrl, maxConnections, onIdleError: () => undefined });
    await onOpen(store);
  }, FILL_TIMEOUT_MS);
  afterAll(async () => {
    await store?.close();
    await database?.drop();
  });
}
