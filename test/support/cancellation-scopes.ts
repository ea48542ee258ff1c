import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The SDK's cancellation scopes work outside of its sandbox as well, when they find there, before they are loaded, what
 * the sandbox gives them.
 */
Object.assign(globalThis, { AsyncLocalStorage });
