import { z } from 'zod';
import { TASK_QUEUES } from '../../temporal/task-queues.js';
import { commaSeparated, decimal, integer, nonEmptyText } from '../parsers.js';
import type { VariableDeclaration } from './declaration.js';

const QUEUES_PROBLEM = `must be a comma-separated list of ${TASK_QUEUES.join(', ')}`;

const fraction = decimal(0.1, 1);

/** The rules of the Temporal server, which separates deployment name and build id with a dot or a colon. */
const deploymentName = z
  .string()
  .regex(
    /^(?!__)[^\s.:]{1,200}$/,
    'must be at most 200 characters without spaces, dots or colons, and not start with __',
  )
  .meta({ values: 'at most 200 characters without spaces, dots or colons' });
const buildId = z
  .string()
  .regex(/^(?!__)\S{1,200}$/, 'must be at most 200 characters without spaces, and not start with __')
  .meta({ values: 'at most 200 characters without spaces' });

/** Variables of workers: task queues, concurrency, versioning and shutdown. */
export const WORKER_VARIABLES = {
  WORKER_TASK_QUEUES: {
    schema: commaSeparated
      .pipe(z.array(z.enum(TASK_QUEUES, QUEUES_PROBLEM)).min(1, QUEUES_PROBLEM))
      .transform((queues) => TASK_QUEUES.filter((queue) => queues.includes(queue)))
      .meta({ values: `comma-separated list of ${TASK_QUEUES.map((queue) => `\`${queue}\``).join(', ')}` })
      .default([...TASK_QUEUES]),
    description: 'The task queues that a worker polls. By default, all task queues.',
    example: 'orders,payments',
    readBy: ['worker'],
  },
  WORKER_TUNER: {
    schema: z.enum(['fixed', 'resource-based'], 'must be fixed or resource-based').default('fixed'),
    description:
      'How a worker limits its concurrency. fixed: fixed numbers of slots. resource-based: as many tasks as memory and CPU of the machine or container allow.',
    example: 'resource-based',
    readBy: ['worker'],
  },
  WORKER_TARGET_MEMORY: {
    schema: fraction.optional(),
    description: 'The share of memory above which a resource-based worker accepts no further tasks. 0.8 by default.',
    example: '0.8',
    readBy: ['worker'],
  },
  WORKER_TARGET_CPU: {
    schema: fraction.optional(),
    description: 'The share of CPU above which a resource-based worker accepts no further tasks. 0.9 by default.',
    example: '0.9',
    readBy: ['worker'],
  },
  WORKER_MAX_CONCURRENT_ACTIVITIES: {
    schema: integer(1, 10_000).optional(),
    description:
      'Maximum number of concurrent activities per task queue. 100 by default; unlimited for a resource-based worker.',
    example: '100',
    readBy: ['worker'],
  },
  WORKER_MAX_CONCURRENT_WORKFLOW_TASKS: {
    // At least 2: one slot polls the task queue, and the other slot polls the sticky queue of cached workflows. With a
    // single slot, these polls block each other.
    schema: integer(2, 10_000).optional(),
    description:
      'Maximum number of concurrent workflow tasks per task queue. 40 by default; unlimited for a resource-based worker.',
    example: '40',
    readBy: ['worker'],
  },
  WORKER_MAX_CACHED_WORKFLOWS: {
    schema: integer(2, 1_000_000).optional(),
    description: 'Maximum number of cached workflows per task queue. By default, calculated from the heap size.',
    example: '2000',
    readBy: ['worker'],
  },
  BATCH_MAX_CONCURRENT_CHUNKS: {
    schema: integer(1, 1_000).default(4),
    description: 'Maximum number of batch chunks that one worker processes at once. At most DATABASE_POOL_SIZE.',
    example: '4',
    readBy: ['worker'],
  },
  PAYMENTS_PER_SECOND: {
    schema: decimal(0.001, 100_000).optional(),
    description:
      'Maximum rate of calls to the payment gateway by all workers together. Must be the same on all workers.',
    example: '50',
    readBy: ['worker'],
  },
  RECONCILE_AFTER_MINUTES: {
    schema: integer(0, 525_600).default(60),
    description:
      'How long the workflow of an order must have been closed without an outcome before the reconciliation rolls the order back, in minutes. Until then, an operator can reset the workflow.',
    example: '60',
    readBy: ['worker'],
  },
  TEMPORAL_DEPLOYMENT_NAME: {
    schema: deploymentName.optional(),
    description: 'The deployment name for Worker Deployment Versioning. Set together with TEMPORAL_WORKER_BUILD_ID.',
    example: 'shop',
    readBy: ['worker'],
  },
  TEMPORAL_WORKER_BUILD_ID: {
    schema: buildId.optional(),
    description: 'The build id of the worker. It receives no tasks until its version is the current version.',
    example: '$(git rev-parse --short HEAD)',
    readBy: ['worker'],
  },
  WORKFLOW_BUNDLE: {
    schema: nonEmptyText.optional(),
    description:
      'The path of the workflow bundle. Its variants, such as .traced.js, must be in the same folder. Without this variable, a worker that runs from the sources bundles the workflows at startup.',
    example: 'dist/workflow-bundle.js',
    readBy: ['worker'],
  },
  SHUTDOWN_GRACE_SECONDS: {
    schema: decimal(0, 3_600).default(20),
    description: 'How long a stopping worker waits for running activities, in seconds.',
    example: '20',
    readBy: ['worker'],
  },
} as const satisfies Record<string, VariableDeclaration>;
