import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { updateRejectionOf } from '../../src/temporal/client/update-rejection.js';
import { isNotFound, isNoWorkerResponse } from '../../src/temporal/grpc-errors.js';
import { LIMITS, type Change } from './contract.js';
import type { AccountService } from './service.js';

const params = z.strictObject({ accountId: z.string().regex(/^[\w-]{1,64}$/) });
const changeSchema = {
  params,
  headers: z.object({ 'idempotency-key': z.string().min(1).max(255) }),
  body: z.strictObject({ amount: z.int().min(1).max(LIMITS.amount) }),
};

export function buildApi(accounts: AccountService): FastifyInstance {
  const app = Fastify().withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error: Error, _request, reply) => {
    const { statusCode = 500, code, message } = toHttpError(error);
    return reply.code(statusCode).send({ type: code, message });
  });

  const routes = { deposits: 'deposit', withdrawals: 'withdraw' } as const;
  for (const [path, kind] of Object.entries(routes)) {
    app.post(`/accounts/:accountId/${path}`, { schema: changeSchema }, async ({ params, headers, body }) => {
      const change: Change = { id: headers['idempotency-key'], kind, amount: body.amount };
      const receipt = await accounts.change(params.accountId, change);
      if (receipt.kind !== kind || receipt.amount !== change.amount) {
        throw httpError(422, 'IdempotencyKeyReused', 'the idempotency key was used for another request');
      }
      return receipt;
    });
  }

  app.get('/accounts/:accountId', { schema: { params } }, ({ params }) => accounts.view(params.accountId));

  app.delete('/accounts/:accountId', { schema: { params } }, async ({ params }, reply) => {
    await accounts.close(params.accountId);
    return reply.code(202).send();
  });

  return app;
}

type HttpError = Error & Partial<Pick<FastifyError, 'statusCode' | 'code'>>;

function httpError(statusCode: number, code: string, message: string): HttpError {
  return Object.assign(new Error(message), { statusCode, code });
}

/** Maps failures of Temporal and of the workflow to HTTP errors. Fastify's own errors have a status code. */
function toHttpError(error: Error): HttpError {
  const rejection = updateRejectionOf(error);
  const isClosed = rejection?.type === 'AccountClosed' || error instanceof WorkflowExecutionAlreadyStartedError;
  if (isClosed || isNotFound(error)) return httpError(404, 'NoOpenAccount', 'there is no open account with this id');
  if (rejection) return httpError(422, rejection.type, rejection.message);
  if (isNoWorkerResponse(error)) return httpError(503, 'Unavailable', 'the account did not answer in time');
  return error;
}
