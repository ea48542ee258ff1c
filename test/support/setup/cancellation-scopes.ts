import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The SDK's cancellation scopes also work outside of its sandbox, if this global, which the sandbox provides, exists
 * before they are loaded.
 */
Object.assign(globalThis, { AsyncLocalStorage });
