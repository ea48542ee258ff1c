import { setTimeout } from 'node:timers/promises';
import { WithStartWorkflowOperation, type Client } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import type { AddItemInput, CartResource } from '../../schemas/cart.js';
import { updateRejectionOf } from '../../temporal/client/update-rejection.js';
import { addItemUpdate, CART_TASK_QUEUE, cartWorkflowId } from '../../workflows/cart/contract.js';
import type * as workflows from '../../workflows/index.js';
import { customerIdAttribute } from '../../workflows/order/contract.js';
import type { Backends } from '../dependencies.js';
import { notFound } from '../problems/http-problem.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { customerIdOf } from '../temporal/ownership.js';
import { applyChange, isLostChange } from './commands.js';

/** Maximum attempts to add an item to a cart that closes during each attempt. */
const MAX_OPEN_ATTEMPTS = 10;

/** Delay between attempts, multiplied by the attempt number. The closing run needs this time to end. */
const OPEN_RETRY_DELAY_MS = 20;

/**
 * Adds an item to a cart. Opens a new cart if no cart with this id is open. If the caller is a customer, the new cart
 * belongs to the caller.
 *
 * @throws 404 when the open or last closed cart belongs to another customer; 422 when a business rule rejects the item.
 */
export async function addToCart(deps: Backends, cartId: string, item: AddItemInput): Promise<CartResource> {
  const { client } = deps;
  const owner = item.caller;
  if (owner !== undefined) await assertNotOwnedByOther(client, cartId, owner);
  const openCart = (): WithStartWorkflowOperation<typeof workflows.cart> =>
    new WithStartWorkflowOperation('cart' satisfies keyof typeof workflows, {
      workflowId: cartWorkflowId(cartId),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId, openedByChange: true, ...(owner !== undefined && { customerId: owner }) }],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      ...(owner !== undefined && {
        typedSearchAttributes: new TypedSearchAttributes([{ key: customerIdAttribute, value: owner }]),
      }),
      staticSummary: `Cart ${cartId}`,
    });
  return await applyChange(deps, cartId, {
    update: addItemUpdate,
    request: item,
    async send(argument, updateId) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await client.workflow.executeUpdateWithStart(addItemUpdate, {
            args: [argument],
            updateId,
            startWorkflowOperation: openCart(),
          });
        } catch (error) {
          // The cart closed between the start and the update of this call. The next attempt opens a new cart.
          const isClosed = updateRejectionOf(error)?.type === 'CartClosed' || isLostChange(error);
          if (!isClosed || attempt === MAX_OPEN_ATTEMPTS) throw error;
          await setTimeout(attempt * OPEN_RETRY_DELAY_MS);
        }
      }
    },
  });
}

/**
 * Reserves the id of a closed cart for its owner, because a new cart of another customer would hide the outcome.
 * @throws 404 for another customer.
 */
async function assertNotOwnedByOther(client: Client, cartId: string, owner: string): Promise<void> {
  const latest = await describeWorkflow(client, { workflowId: cartWorkflowId(cartId) });
  // If the search attribute with the owner is not set, the cart workflow checks the owner.
  const latestOwner = latest && customerIdOf(latest);
  if (latestOwner !== undefined && latestOwner !== owner) throw notFound(`there is no cart ${cartId}`);
}
