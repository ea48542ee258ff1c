import { inject } from 'vitest';

// Processes of the tests then start faster.
process.env.COMPILED_SOURCE = inject('compiledSource');
