import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Makes the SDK's cancellation scopes work outside the workflow sandbox. They need this global, which the sandbox
 * normally provides, before they are loaded.
 */
Object.assign(globalThis, { AsyncLocalStorage });
