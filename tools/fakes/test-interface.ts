import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type FakeResponse, errorResponse } from './calls/responses.js';
import { faultSchema } from './calls/call-faults.js';
import { type Hold, holdSchema } from './calls/holds.js';
import { smtpFaultSchema } from './mailbox/smtp-faults.js';
import { slackFaultSchema } from './slack/slack-faults.js';
import { eventFaultSchema } from './stripe/event-sender.js';
import type { Fakes } from './fakes.js';

const secondsSchema = z.number().nonnegative().max(1_000_000);

const carrierSchema = z.strictObject({
  autoDeliver: z.boolean().optional(),
  pickupSeconds: secondsSchema.optional(),
  deliverySeconds: secondsSchema.optional(),
  silent: z.boolean().optional(),
  orderId: z.string().min(1).optional(),
  callbackUrl: z.url({ protocol: /^https?$/ }).optional(),
});

const statusSchema = z.coerce.number().int().min(200).max(599);

const reportSchema = z.strictObject({
  status: z.string().min(1).max(200),
  shipmentId: z.string().min(1).max(200).optional(),
  extra: z.record(z.string(), z.unknown()).optional(),
});
const retentionSchema = z.strictObject({ retentionSeconds: z.number().nonnegative().nullable() });
const orderQuerySchema = z.strictObject({ orderId: z.string().optional() });
const slackQuerySchema = z.strictObject({ user: z.string().optional() });
const stripeEventSchema = z.strictObject({ type: z.string().regex(/^[a-z_]+(\.[a-z_]+)+$/) });
const interactionSchema = z.record(z.string(), z.unknown());
const mailsQuerySchema = z.strictObject({ to: z.string().optional() });

/** Registers the routes that tests and demos use to inspect the fake external systems and to inject faults. */
export function registerTestInterface(app: FastifyInstance, fakes: Omit<Fakes, 'app' | 'close'>): void {
  const { ledger, faults, holds, idempotencyKeys, carrier, mailbox, slack, stripeEvents, stripePayments } = fakes;

  app.get('/test/ledger', async (request) => {
    const { orderId } = orderQuerySchema.parse(request.query);
    await ledger.flush();
    return fakes.records(orderId);
  });

  app.post('/test/faults', async (request, reply) => {
    const fault = faultSchema.parse(request.body);
    faults.add(fault);
    return reply.code(201).send(fault);
  });

  app.delete('/test/faults', async (request, reply) => {
    faults.clear(orderQuerySchema.parse(request.query).orderId);
    return reply.code(204).send();
  });

  app.post('/test/holds', async (request, reply) => {
    const hold = holds.add(holdSchema.parse(request.body));
    return reply.code(201).send(holdState(hold));
  });

  app.get<{ Params: { holdId: string } }>('/test/holds/:holdId', async (request, reply) => {
    const hold = holds.get(request.params.holdId);
    const { status, body } = hold ? { status: 200, body: holdState(hold) } : unknownHoldResponse(request.params.holdId);
    return reply.code(status).send(body);
  });

  app.delete<{ Params: { holdId: string } }>('/test/holds/:holdId', async (request, reply) => {
    await holds.get(request.params.holdId)?.release();
    return reply.code(204).send();
  });

  app.delete('/test/holds', async (_request, reply) => {
    await holds.releaseAll();
    return reply.code(204).send();
  });

  app.post<{ Params: { orderId: string } }>('/test/shipments/:orderId', async (request, reply) => {
    const { orderId } = request.params;
    const delivery = await carrier.reportNow(orderId, reportSchema.parse(request.body));
    const response = delivery
      ? { status: 202, body: delivery }
      : errorResponse(404, 'unknown_shipment', `The order "${orderId}" has no parcel.`);
    return reply.code(response.status).send(response.body);
  });

  app.put('/test/carrier', async (request) => {
    const { orderId, callbackUrl, ...schedule } = carrierSchema.parse(request.body);
    if (callbackUrl !== undefined) fakes.setCallbackUrl(callbackUrl);
    const change = Object.fromEntries(Object.entries(schedule).filter(([, value]) => value !== undefined));
    return carrier.configure(change, orderId);
  });

  app.put('/test/idempotency-keys', async (request) => {
    idempotencyKeys.retentionSeconds = retentionSchema.parse(request.body).retentionSeconds;
    return { retentionSeconds: idempotencyKeys.retentionSeconds };
  });

  app.delete<{ Params: { orderId: string } }>('/test/idempotency-keys/:orderId', async (request, reply) => {
    idempotencyKeys.expire(request.params.orderId);
    return reply.code(204).send();
  });

  app.post<{ Params: { status: string } }>('/test/responses/:status', async (request, reply) =>
    reply.code(statusSchema.parse(request.params.status)).send(),
  );

  app.get('/test/mails', async (request) => {
    const { to } = mailsQuerySchema.parse(request.query);
    return { mails: to === undefined ? await mailbox.mails() : await mailbox.mailsTo(to) };
  });

  app.post('/test/mails/faults', async (request, reply) => {
    const { to, ...options } = smtpFaultSchema.parse(request.body);
    return reply.code(201).send(mailbox.addFault(to, options));
  });

  app.get('/test/slack/messages', async (request) => {
    const { user } = slackQuerySchema.parse(request.query);
    return { messages: slack.messages(user) };
  });

  app.post('/test/slack/interactions', async (request) => slack.deliver(interactionSchema.parse(request.body)));

  app.post('/test/slack/faults', async (request, reply) =>
    reply.code(201).send(slack.faults.add(slackFaultSchema.parse(request.body))),
  );

  app.delete('/test/slack/faults', async (_request, reply) => {
    slack.faults.clear();
    return reply.code(204).send();
  });

  app.get('/test/stripe/events', async (request) => {
    const { orderId } = orderQuerySchema.parse(request.query);
    return { events: stripeEvents.list(orderId) };
  });

  app.post<{ Params: { orderId: string } }>('/test/stripe/events/:orderId', async (request, reply) => {
    const { orderId } = request.params;
    const event = stripePayments.reportNewest(orderId, stripeEventSchema.parse(request.body).type);
    const response = event
      ? { status: 202, body: event }
      : errorResponse(404, 'no_event', `The order "${orderId}" has no PaymentIntent, or no receiver is set.`);
    return reply.code(response.status).send(response.body);
  });

  app.post('/test/stripe/faults', async (request, reply) =>
    reply.code(201).send(stripeEvents.addFault(eventFaultSchema.parse(request.body))),
  );

  app.delete('/test/stripe/faults', async (_request, reply) => {
    stripeEvents.clearFaults();
    return reply.code(204).send();
  });

  app.delete('/test/mails/faults', async (_request, reply) => {
    mailbox.clearFaults();
    return reply.code(204).send();
  });
}

function holdState(hold: Hold) {
  const { holdId, on, orderId, waitBefore, applyAfterDisconnect, counts } = hold;
  return { holdId, on, orderId, waitBefore, applyAfterDisconnect, ...counts };
}

function unknownHoldResponse(holdId: string): FakeResponse {
  return errorResponse(404, 'unknown_hold', `The hold "${holdId}" does not exist or is already released.`);
}
