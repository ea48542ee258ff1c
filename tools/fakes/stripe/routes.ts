import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { handleCall, NO_RESPONSE, sendResponse, type CallContext } from '../calls/call-handler.js';
import type { OperationName } from '../calls/call-faults.js';
import type { FakeResponse } from '../calls/responses.js';
import type { PaymentIntent } from '../ledger/ledger-entries.js';
import { decodeForm, type Form } from './form.js';
import type { StripePayments } from './payment-intents.js';
import { invalidRequest, noSuchIntent, replayed, stripeError } from './responses.js';

type IntentRequest = FastifyRequest<{ Params: { id: string } }>;

interface StripeCall {
  name: OperationName;
  orderId: string;
  effect: () => FakeResponse;
}

/** Registers the calls of Stripe's API. The paths start with `/v1`, because the `stripe` package allows no prefix. */
export async function stripeRoutes(
  app: FastifyInstance,
  { context, intents }: { context: CallContext; intents: StripePayments },
): Promise<void> {
  const { ledger } = context;
  /** The errors that Stripe stores and repeats, by idempotency key. */
  const storedErrors = new Map<string, FakeResponse>();

  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, decodeForm(body as string)),
  );
  app.addHook('onRequest', async (request, reply) => {
    if (/^Bearer (sk|rk)_test_\w+$/.test(request.headers.authorization ?? '')) return undefined;
    const { status, body } = stripeError(401, { type: 'invalid_request_error', message: 'Invalid API Key provided' });
    return reply.code(status).send(body);
  });

  app.post('/payment_intents', (request, reply) => {
    const form = request.body as Form;
    const { orderId } = (form.metadata ?? {}) as Form;
    return answer(request, reply, {
      name: 'intent',
      orderId: textOf(orderId),
      effect: () => intents.create(keyOf(request), form),
    });
  });
  app.post('/payment_intents/:id/confirm', (request: IntentRequest, reply) =>
    answerFor(request, reply, 'charge', (intent, form) => intents.confirm(keyOf(request), intent, form)),
  );
  app.post('/payment_intents/:id/cancel', (request: IntentRequest, reply) =>
    answerFor(request, reply, 'refund', (intent, form) => intents.cancel(keyOf(request), intent, form)),
  );
  app.post('/refunds', (request, reply) => {
    const form = request.body as Form;
    const intent = ledger.findIntent(textOf(form.payment_intent));
    return answer(request, reply, {
      name: 'refund',
      orderId: intent?.request.orderId ?? '',
      effect: () => intents.refund(keyOf(request), form),
    });
  });
  app.get('/payment_intents/:id', (request: IntentRequest, reply) =>
    answerFor(request, reply, 'payment', (intent, query) => intents.retrieve(intent, query)),
  );
  app.get('/payment_intents/search', (request, reply) => {
    const query = queryOf(request);
    const [, orderId] = /^metadata\["orderId"\]:"([^"]+)"$/.exec(textOf(query.query)) ?? [];
    if (orderId === undefined) return reply.code(400).send(invalidRequest('The fake does not know the query.').body);
    return answer(request, reply, { name: 'payment', orderId, effect: () => intents.search(orderId, query) });
  });
  app.get('/payment_intents', (request, reply) => {
    const { status, body } = intents.list(queryOf(request));
    return reply.code(status).send(body);
  });

  async function answerFor(
    request: IntentRequest,
    reply: FastifyReply,
    name: OperationName,
    effect: (intent: PaymentIntent, form: Form) => FakeResponse,
  ): Promise<FastifyReply> {
    const { id } = request.params;
    const intent = ledger.findIntent(id);
    if (!intent) return reply.code(404).send(noSuchIntent(id).body);
    const form = request.method === 'GET' ? queryOf(request) : ((request.body ?? {}) as Form);
    return await answer(request, reply, {
      name,
      orderId: intent.request.orderId,
      effect: () => effect(intent, form),
    });
  }

  /** Answers a call, with the holds and the faults that a test has set for it. Records the calls with an effect. */
  async function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    { name, orderId, effect }: StripeCall,
  ): Promise<FastifyReply> {
    const { socket } = request.raw;
    const key = keyOf(request);
    const received = request.method === 'POST' ? context.requests.record(request, orderId) : undefined;
    const response = await handleCall(name, orderId, {
      context,
      socket,
      effect: () => storedErrors.get(key) ?? effect(),
      onFault: ({ fault, status, code }) => {
        if (received) received.fault = fault;
        if (fault !== 'error' || (status !== 500 && status !== 400) || key === '') return;
        const type = status === 500 ? 'api_error' : 'invalid_request_error';
        const error = { type, code: code ?? undefined, message: 'An injected fault.' } as const;
        storedErrors.set(key, replayed(stripeError(status, error as never)));
      },
    });
    if (received && response !== NO_RESPONSE && !socket.destroyed) received.status = response.status;
    return sendResponse(reply, socket, response);
  }
}

/** Only calls with an effect have a key. The `stripe` package adds a random one if the caller sets none. */
const keyOf = ({ headers }: FastifyRequest): string => String(headers['idempotency-key'] ?? '');

const textOf = (value: Form[string]): string => (typeof value === 'string' ? value : '');

const queryOf = ({ url }: FastifyRequest): Form => decodeForm(url.split('?')[1] ?? '');
