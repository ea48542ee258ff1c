import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { CallerRole } from '../../../schemas/api-key.js';
import { approvalRequest } from '../../../schemas/approval.js';
import { addItemRequest, cartId } from '../../../schemas/cart.js';
import { orderRequest } from '../../../schemas/order.js';
import { assertMayRequest, requestApproval } from '../../approvals/start.js';
import { addToCart } from '../../carts/start.js';
import type { AppDependencies } from '../../dependencies.js';
import { assertActsAsSelf, restrictedIdOf, type Caller } from '../../http/caller.js';
import { startOrder } from '../../orders/start.js';
import { fieldsOf, type Field } from '../forms/fields.js';
import type { ApiRequest } from './curl.js';
import { FORM_EXAMPLES } from './examples.js';

interface StartContext {
  deps: AppDependencies;
  caller: Caller;
  /** A random id that belongs to the rendered form. The same form is processed once. */
  formId: string;
}

/** A form that starts a workflow. */
export interface StartForm<Schema extends z.ZodType = z.ZodType> {
  /** The last part of the path. */
  name: string;
  title: string;
  /** What the workflow does, in one or two sentences. */
  description: string;
  button: string;
  /** The roles that may call the operation of the API. */
  access: readonly CallerRole[];
  schema: Schema;
  field: Field;
  /** The values with which the form is filled. */
  exampleFor: (caller: Caller) => object;
  /** The request of the API for the value of the form. */
  requestOf: (json: Record<string, unknown>) => ApiRequest;
  /** Starts the workflow. @returns the path of its page, relative to the console. */
  start: (data: z.infer<Schema>, context: StartContext) => Promise<string>;
}

const defineForm = <Schema extends z.ZodType>(form: Omit<StartForm<Schema>, 'field'>): StartForm<Schema> => ({
  ...form,
  field: fieldsOf(form.schema),
});

/** An id that people can read and that is new with near certainty. */
const newId = (prefix: string) => `${prefix}-${randomUUID().slice(0, 8)}`;

const orderForm = defineForm({
  name: 'order',
  title: 'Place an order',
  description:
    'Starts a saga: reserves the stock, charges the card and requests the shipment. A large order waits for an approval.',
  button: 'Place the order',
  access: ['shopper', 'operator'],
  schema: orderRequest,
  exampleFor: (caller) => ({
    orderId: newId('order'),
    ...FORM_EXAMPLES.order,
    customerId: restrictedIdOf(caller) ?? FORM_EXAMPLES.order.customerId,
  }),
  requestOf: (body) => ({ path: '/v1/orders', body }),
  async start(order, { deps, caller, formId }) {
    assertActsAsSelf(caller, order.customerId, 'customer');
    const orderId = order.orderId ?? formId;
    await startOrder(deps, { ...order, orderId });
    return `/orders/${orderId}`;
  },
});

const cartForm = defineForm({
  name: 'cart',
  title: 'Open a cart',
  description: 'Adds an item to a cart, and opens the cart if none with this id is open.',
  button: 'Add to the cart',
  access: ['shopper', 'operator'],
  schema: z.strictObject({ cartId, ...addItemRequest.shape }),
  exampleFor: () => ({ ...FORM_EXAMPLES.cart, cartId: newId('cart') }),
  requestOf: ({ cartId, ...body }) => ({ path: `/v1/carts/${encodeURIComponent(String(cartId))}/items`, body }),
  async start({ cartId, ...item }, { deps, caller, formId }) {
    const owner = restrictedIdOf(caller);
    await addToCart(deps, cartId, {
      ...item,
      idempotencyKey: formId,
      ...(owner !== undefined && { caller: owner }),
    });
    return `/carts/${cartId}`;
  },
});

const approvalForm = defineForm({
  name: 'approval',
  title: 'Request an approval',
  description:
    'Asks the approvers of the first stage. If nobody decides in time, asks the next stage. The first decision counts.',
  button: 'Request the approval',
  access: ['operator', 'approver'],
  schema: approvalRequest,
  exampleFor: (caller) => ({
    ...FORM_EXAMPLES.approval,
    approvalId: newId('approval'),
    requestedBy: restrictedIdOf(caller) ?? FORM_EXAMPLES.approval.requestedBy,
  }),
  requestOf: (body) => ({ path: '/v1/approvals', body }),
  async start(approval, { deps, caller, formId }) {
    assertMayRequest(caller, approval, deps.outgoing);
    const approvalId = approval.approvalId ?? formId;
    await requestApproval(deps, { ...approval, approvalId });
    return `/approvals/${approvalId}`;
  },
});

export const START_FORMS = [orderForm, cartForm, approvalForm] as unknown as readonly StartForm[];
