import { imported } from '../edits.js';
import type { Kind } from './kind.js';

export const operation: Kind = {
  summary: 'a batch operation: what a batch does to each item of an upload',
  guide: 'docs/guides/add-a-batch-operation.md',
  templates: ['operation'],
  changesApi: false,
  edits: () =>
    imported('src/batch-operations/index.ts', {
      name: 'sampleCase',
      from: './sample-case.js',
      list: 'allOperations',
      entry: 'sampleCase',
    }),
  next: ['npm test -- test/batch-operations', 'npm run check'],
};
