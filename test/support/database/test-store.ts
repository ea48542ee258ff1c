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

/**
 * Registers the hooks that open a store on a separate database and close it. `onOpen` receives the store, and a store
 * with the privileges of the owner.
 */
export function useTestStore(
  onOpen: (store: Store, ownerStore: Store) => Promise<void> | void,
  { role = 'owner', maxConnections = 1 }: TestStoreOptions = {},
): void {
  let database: Awaited<ReturnType<typeof createDatabase>> | undefined;
  let store: Store | undefined;
  let ownerStore: Store | undefined;
  beforeAll(async () => {
    database = await createDatabase();
    const open = (databaseUrl: string) => openStore({ databaseUrl, maxConnections, onIdleError: () => undefined });
    ownerStore = open(database.url);
    store = role === 'owner' ? ownerStore : open(database.appUrl);
    await onOpen(store, ownerStore);
  }, FILL_TIMEOUT_MS);
  afterAll(async () => {
    if (store !== ownerStore) await store?.close();
    await ownerStore?.close();
    await database?.drop();
  });
}
