import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { addItemRequest, cartId as cartIdSchema, checkoutRequest, setQuantityRequest } from '../../../schemas/cart.js';
import type { InputProblem } from '../../../schemas/shared/input-problems.js';
import type { Money } from '../../../schemas/shared/money.js';
import { sku as skuSchema } from '../../../schemas/shared/primitives.js';
import {
  abandonUpdate,
  cartWorkflowId,
  checkoutUpdate,
  removeItemUpdate,
  setQuantityUpdate,
} from '../../../workflows/cart/contract.js';
import { updateIdOfContent } from '../../../temporal/client/operation-ids.js';
import { changeCart } from '../../carts/commands.js';
import { addToCart } from '../../carts/start.js';
import { assertActsAsSelf, restrictedIdOf } from '../../http/caller.js';
import { parseInput } from '../../http/parse-input.js';
import { HttpProblem, invalidRequest } from '../../problems/http-problem.js';
import { withConsoleContract, withLiveContract } from '../contract.js';
import { fieldsOf } from '../forms/fields.js';
import { describeProblems, parseInputs, type ParsedInputs } from '../forms/problems.js';
import { parseForm, parseInteger, type FormValues } from '../forms/values.js';
import { redirectWithinConsole, sendConsolePage } from '../layout.js';
import type { ConsolePageDependencies } from '../routes.js';
import { otherToolsHtml } from '../workflow-links.js';
import { cartContent, cartNotFoundContent, type RejectedChange } from './cart-page.js';
import { cartPath } from './list-page.js';
import { readCartState } from './state.js';

const access = ['operator', 'shopper'] as const;

/** Number of SKUs that the form of a cart suggests. */
const MAX_SUGGESTIONS = 100;

const field = z.string().trim().catch('');

/** The fields of the forms on the page of a cart. A browser that sends other fields did not load this page. */
const changeForm = z.object({
  form: z.uuid().catch(() => randomUUID()),
  sku: field,
  quantity: field,
  token: field,
  customerId: field,
  totalValue: field,
  totalCurrency: field,
});

type ChangeForm = z.infer<typeof changeForm>;
type FormName = RejectedChange['form'];

/** The page of a cart, its live stream, and the forms that change the cart. */
export function cartPageRoutes(app: FastifyInstance, deps: ConsolePageDependencies): void {
  async function pageOf({ caller }: FastifyRequest, cartId: string) {
    const products = await deps.store.listProducts({}, { limit: MAX_SUGGESTIONS });
    const toolsHtml = otherToolsHtml(deps, caller, {
      workflowId: cartWorkflowId(cartId),
      apiPath: `/v1/carts/${cartId}`,
    });
    return {
      cartId,
      formId: randomUUID(),
      skus: products.map(({ sku }) => sku),
      mayNameCustomer: restrictedIdOf(caller) === undefined,
      toolsHtml,
    };
  }

  async function sendCart(
    request: FastifyRequest,
    reply: FastifyReply,
    { status = 200, rejected }: { status?: number; rejected?: RejectedChange } = {},
  ): Promise<FastifyReply> {
    const cartId = cartIdOf(request);
    const frame = { title: `Cart ${cartId}`, section: 'carts' } as const;
    try {
      const state = await readCartState(deps, cartId, request.caller);
      const content = cartContent(state, { ...(await pageOf(request, cartId)), rejected });
      const livePath = state.cart && !rejected ? `${cartPath(cartId)}/live` : undefined;
      return sendConsolePage(request, reply, { ...frame, status, content, livePath });
    } catch (error) {
      if (!(error instanceof HttpProblem) || error.kind !== 'not-found') throw error;
      return sendConsolePage(request, reply, { ...frame, status: 404, content: cartNotFoundContent(cartId) });
    }
  }

  app.get(
    '/:cartId',
    withConsoleContract({ operationId: 'openCart', summary: 'Open a cart', access }),
    async (request, reply) => sendCart(request, reply),
  );

  app.get(
    '/:cartId/live',
    withLiveContract({ operationId: 'followCart', summary: 'Follow a cart', access }),
    async (request, reply) => {
      const cartId = cartIdOf(request);
      const { caller } = request;
      const read = () => readCartState(deps, cartId, caller);
      const first = await read();
      const page = await pageOf(request, cartId);
      return deps.liveStreams.send(request, reply, {
        key: `cart ${cartId} ${restrictedIdOf(caller) ?? ''}`,
        read,
        first,
        isFinal: ({ outcome }) => outcome !== undefined,
        render: (state) => cartContent(state, page),
      });
    },
  );

  /** A form that changes the cart. `apply` returns the path of the next page. */
  const changeRoute = (path: string, name: FormName, apply: (change: Change) => Promise<string | void>) =>
    app.post(
      path,
      withConsoleContract({ operationId: `${name}InCart`, summary: `Change a cart: ${name}`, access }),
      async (request, reply) => {
        const cartId = cartIdOf(request);
        const form = changeForm.parse(request.body ?? {});
        const { sku } = request.params as { sku?: string };
        const owner = restrictedIdOf(request.caller);
        const fields = (...content: string[]) => ({
          idempotencyKey: updateIdOfContent(name, [form.form, ...content]),
          ...(owner !== undefined && { caller: owner }),
        });
        try {
          const next = await apply({ request, cartId, sku, form, fields });
          return redirectWithinConsole(reply, next ?? `/carts/${cartId}`);
        } catch (error) {
          if (!(error instanceof HttpProblem) || error.status >= 500) throw error;
          return await sendCart(request, reply, { status: error.status, rejected: rejectedChange(name, form, error) });
        }
      },
    );

  changeRoute('/:cartId/add', 'add', async ({ cartId, form, fields }) => {
    const item = parseChange(addItemRequest, { '/sku': form.sku, '/quantity': form.quantity });
    await addToCart(deps, cartId, { ...item, ...fields(item.sku, String(item.quantity)) });
  });

  changeRoute('/:cartId/items/:sku/set', 'set', async ({ cartId, sku: text, form, fields }) => {
    const sku = parseInput(skuSchema, text);
    const { quantity } = parseChange(setQuantityRequest, { '/quantity': form.quantity });
    await changeCart(deps, cartId, setQuantityUpdate, { sku, quantity, ...fields(sku, String(quantity)) });
  });

  changeRoute('/:cartId/items/:sku/remove', 'remove', async ({ cartId, sku: text, fields }) => {
    const sku = parseInput(skuSchema, text);
    await changeCart(deps, cartId, removeItemUpdate, { sku, ...fields(sku) });
  });

  changeRoute('/:cartId/checkout', 'checkout', async ({ request, cartId, form, fields }) => {
    const { token, customerId, totalValue, totalCurrency } = form;
    const checkout = validOf(
      parseInputs(
        checkoutRequest,
        {
          payment: { token },
          ...(customerId && { customerId }),
          expectedTotal: { value: toNumber(totalValue), currency: totalCurrency },
        },
        (path) => ({ label: labelOf(path.at(-1)) }),
      ),
    );
    assertActsAsSelf(request.caller, checkout.customerId, 'customer');
    const argument = { ...checkout, ...fields(totalValue, totalCurrency, token, customerId) };
    const { orderId } = await changeCart(deps, cartId, checkoutUpdate, argument);
    return `/orders/${orderId!}`;
  });

  changeRoute('/:cartId/abandon', 'abandon', async ({ cartId, fields }) => {
    await changeCart(deps, cartId, abandonUpdate, fields());
  });
}

interface Change {
  request: FastifyRequest;
  cartId: string;
  sku: string | undefined;
  form: ChangeForm;
  /** The fields of every change. The idempotency key is a hash of the id of the page and the content of the change. */
  fields: (...content: string[]) => { idempotencyKey: string; caller?: string };
}

const cartIdOf = ({ params }: FastifyRequest): string =>
  parseInput(cartIdSchema, (params as { cartId: string }).cartId);

/** Parses the inputs of a form as on the pages that start a workflow. @throws 400. */
const parseChange = <Schema extends z.ZodType>(schema: Schema, values: FormValues): z.infer<Schema> =>
  validOf<z.infer<Schema>>(parseForm(schema, fieldsOf(schema), values));

/** Returns parsed inputs. @throws 400 if they are invalid. */
function validOf<Data>(parsed: ParsedInputs<Data>): Data {
  if (parsed.problems) throw invalidRequest([...parsed.problems]);
  return parsed.data;
}

const LABELS: Readonly<Record<string, string>> = {
  sku: 'SKU',
  quantity: 'Quantity',
  token: 'Card token',
  customerId: 'Customer',
};

const labelOf = (name: PropertyKey | undefined): string => LABELS[String(name)] ?? '';

/** The number of a text. Any other text stays, so that the schema rejects it. */
const toNumber = (text: string): number | string => parseInteger(text) ?? text;

function rejectedChange(form: FormName, values: ChangeForm, { kind, message, options }: HttpProblem): RejectedChange {
  const newTotal = kind === 'price-changed' ? (options.extensions?.total as Money | undefined) : undefined;
  const { sku, quantity, token, customerId: customer } = values;
  const errors = (options.extensions?.errors ?? []) as InputProblem[];
  return {
    form,
    problem: describeProblems(errors, labelOf) || message,
    newTotal,
    values: { sku, quantity, token, customer },
  };
}
