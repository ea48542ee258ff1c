import { z } from 'zod';
import { batchId, batchStatus } from './batch.js';
import { orderId, orderListQuery } from './order.js';
import { text } from './shared/primitives.js';

/** The maximum number of resources of one bulk request, so that the request ends within the time limit of the API. */
export const MAX_BULK_ITEMS = 500;

export const DEFAULT_BULK_ITEMS = 100;

/** Matching resources are counted up to this number. */
export const MAX_BULK_COUNT = 1_000;

/** The fields of every bulk request besides the action and the selection. */
const options = {
  limit: z
    .int()
    .min(1)
    .max(MAX_BULK_ITEMS)
    .optional()
    .describe(`With \`filter\`: the maximum number of resources. Defaults to ${DEFAULT_BULK_ITEMS}.`),
  dryRun: z
    .boolean()
    .optional()
    .describe('With `true`, returns the selected resources and changes nothing. Defaults to `false`.'),
};

const hasOneSelection = (ids: string) => ({
  path: [ids],
  error: `send either filter or ${ids}`,
});

/** The same rule for the OpenAPI document, which does not contain refinements. */
const oneSelection = (ids: string) => [{ required: ['filter'] }, { required: [ids] }];

export const orderBulkAction = z
  .enum(['cancel', 'retry_compensations'])
  .describe(
    '`cancel` applies to orders with the status `processing`, `retry_compensations` to orders with the status `compensation_stuck`.',
  );

export const orderBulkRequest = z
  .strictObject({
    action: orderBulkAction,
    filter: orderListQuery
      .omit({ limit: true, cursor: true, status: true })
      .optional()
      .describe('Selects the newest matching orders to which the action applies.'),
    orderIds: z
      .array(orderId)
      .min(1)
      .max(MAX_BULK_ITEMS)
      .optional()
      .describe('Selects orders by id, for example the orders of a dry run. A repetition selects the same orders.'),
    reason: text(500).optional().describe('The reason of a cancellation.'),
    ...options,
  })
  .refine(({ filter, orderIds }) => (filter === undefined) !== (orderIds === undefined), hasOneSelection('orderIds'))
  .meta({ id: 'OrderBulkRequest', description: 'An action on many orders.', oneOf: oneSelection('orderIds') });

export const batchBulkAction = z.enum(['retry']).describe('`retry` applies to batches that ended or never started.');

export const retryableBatchStatus = batchStatus.extract(['staged', 'completed_with_failures', 'cancelled', 'failed']);

export const batchBulkRequest = z
  .strictObject({
    action: batchBulkAction,
    filter: z
      .strictObject({ status: retryableBatchStatus.optional() })
      .optional()
      .describe('Selects the newest matching batches to which the action applies.'),
    batchIds: z
      .array(batchId)
      .min(1)
      .max(MAX_BULK_ITEMS)
      .optional()
      .describe('Selects batches by id, for example the batches of a dry run. A repetition selects the same batches.'),
    ...options,
  })
  .refine(({ filter, batchIds }) => (filter === undefined) !== (batchIds === undefined), hasOneSelection('batchIds'))
  .meta({ id: 'BatchBulkRequest', description: 'An action on many batches.', oneOf: oneSelection('batchIds') });

export const bulkItem = z
  .object({
    id: z.string().meta({ description: 'The id of the order or batch.', examples: ['order-1001'] }),
    result: z
      .enum(['planned', 'done', 'rejected', 'failed', 'not_started'])
      .describe(
        '`planned`: a dry run changes nothing. `rejected`: the action is not possible in the current state of the resource, and `detail` says why. `failed`: a dependency is unavailable; repeat the action. `not_started`: the time limit was reached.',
      ),
    problem: z
      .string()
      .optional()
      .meta({ description: 'The type of the problem.', examples: ['/problems/already-picked-up'] }),
    detail: z.string().optional().describe('Why the action was rejected or failed.'),
  })
  .meta({ id: 'BulkItem', description: 'The result of an action on one resource.' });

export const bulkResult = z
  .object({
    dryRun: z.boolean(),
    matchCount: z
      .int()
      .describe(`The number of resources that match, counted up to ${MAX_BULK_COUNT}. They include the selected ones.`),
    hasMore: z.boolean().describe(`Whether more than ${MAX_BULK_COUNT} resources match.`),
    items: z.array(bulkItem),
  })
  .meta({
    id: 'BulkResult',
    description: 'The results of an action on many resources, in the order of the selection.',
  });

export type OrderBulkRequest = z.infer<typeof orderBulkRequest>;
export type OrderBulkAction = z.infer<typeof orderBulkAction>;
export type BatchBulkRequest = z.infer<typeof batchBulkRequest>;
export type BulkItem = z.infer<typeof bulkItem>;
export type BulkResult = z.infer<typeof bulkResult>;
