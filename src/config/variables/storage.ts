import { z } from 'zod';
import { integer } from '../parsers.js';
import type { VariableDeclaration } from './declaration.js';

/** Variables for the connection to PostgreSQL. */
export const STORAGE_VARIABLES = {
  DATABASE_URL: {
    schema: z
      .url({ protocol: /^postgres(ql)?$/, error: 'must be a PostgreSQL connection URL' })
      .meta({ values: 'PostgreSQL connection URL' }),
    description: 'The PostgreSQL database, version 15 or newer.',
    example: 'postgres://user:password@127.0.0.1:5432/shop',
    readBy: ['worker', 'api', 'setup'],
    secret: true,
  },
  DATABASE_POOL_SIZE: {
    schema: integer(1, 1_000).default(10),
    description: 'Maximum number of database connections of one process.',
    example: '10',
    readBy: ['worker', 'api', 'setup'],
  },
  DATABASE_APP_ROLE: {
    schema: z.string().min(1).max(63).meta({ values: 'name of at most 63 characters' }).optional(),
    description:
      'The database role of workers and API. Setup grants this role only the privileges that workers and API need.',
    example: 'shop',
    readBy: ['setup'],
  },
  IDEMPOTENCY_KEY_RETENTION_HOURS: {
    schema: integer(1, 8_760).default(24),
    description:
      'How long the response to a request with an `Idempotency-Key` is kept, in hours. Afterwards, a request with the same key counts as new. Must be the same on all workers and APIs.',
    example: '24',
    readBy: ['worker', 'api'],
  },
  NOTIFICATION_RETENTION_DAYS: {
    schema: integer(1, 36_500).default(90),
    description: 'How long the notifications of carts are kept, in days.',
    example: '90',
    readBy: ['worker'],
  },
  BATCH_ITEM_RETENTION_DAYS: {
    schema: integer(1, 36_500).default(90),
    description:
      'How long the items of a closed batch are kept, in days. Afterwards, the failed items can no longer be listed or retried. The counts stay.',
    example: '90',
    readBy: ['worker'],
  },
  ORDER_RETENTION_DAYS: {
    schema: integer(1, 36_500).optional(),
    description:
      'How long the personal data of a closed order is kept, in days. By default, it is kept. Afterwards, the row of the order stays without the customer and without texts. Must be at least the retention of the namespace.',
    example: '730',
    readBy: ['worker'],
  },
} as const satisfies Record<string, VariableDeclaration>;
