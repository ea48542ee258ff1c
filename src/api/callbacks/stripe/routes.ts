import type { FastifyInstance } from 'fastify';
import { callbackResponse } from '../../../schemas/callbacks.js';
import { stripeEvent } from '../../../schemas/stripe-event.js';
import type { AppDependencies } from '../../dependencies.js';
import { parseInput } from '../../http/parse-input.js';
import { withContract } from '../../http/route-contract.js';
import { keepRawJsonBodies, readSignedJson } from '../signed-body.js';
import { toPaymentEvent } from './payment-event.js';
import { createStripeVerifiers } from './signatures.js';

export interface StripeDependencies extends Pick<AppDependencies, 'stripeWebhookSecrets'> {
  store: Pick<AppDependencies['store'], 'recordPaymentEvent'>;
}

/**
 * Receives signed events of Stripe and records each event once. The audit compares the recorded events with the orders
 * and lists differences for a person. An event never changes an order: the activities know the results of their calls.
 */
export async function stripeRoutes(app: FastifyInstance, deps: StripeDependencies): Promise<void> {
  const { store } = deps;
  const verifiers = await createStripeVerifiers(deps.stripeWebhookSecrets);
  keepRawJsonBodies(app);

  app.post(
    '/stripe',
    {
      ...withContract({
        operationId: 'receiveStripeEvent',
        summary: 'Receive an event of Stripe',
        description:
          'The API answers 202 once the event is stored. The audit compares stored events with the orders. A repeated event id has no effect. The API answers 200 when the event has no effect: its type is unknown, or it is not about a payment of the shop. As for the other callbacks, the API answers 401 for an invalid signature. Stripe repeats an event after any other response than 2xx.',
        tag: 'Callbacks',
        access: 'signed',
        signature: 'stripe',
        dependencies: ['store'],
        rawBodies: { 'application/json': stripeEvent },
      }),
      schema: { response: { 200: callbackResponse, 202: callbackResponse } },
    },
    async (request, reply) => {
      const event = parseInput(stripeEvent, readSignedJson(verifiers, request).value);
      request.loggedFields = { params: { eventId: event.id }, action: event.type };
      const paymentEvent = toPaymentEvent(event);
      if (!paymentEvent) return reply.code(200).send({ status: 'ignored', detail: 'the shop does not use this event' });
      await store.recordPaymentEvent(paymentEvent);
      return reply.code(202).send({ status: 'accepted' });
    },
  );
}
