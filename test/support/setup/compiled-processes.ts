import { inject } from 'vitest';

// Test processes start faster from compiled sources than with a TypeScript loader.
process.env.COMPILED_SOURCE = inject('compiledSource');
