import { z } from 'zod';

export const execution = z
  .object({ workflowId: z.string(), runId: z.string() })
  .meta({ id: 'Execution', description: 'The workflow execution behind a resource, as Temporal names it.' });
