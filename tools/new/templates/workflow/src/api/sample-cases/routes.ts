import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { sampleCaseAccepted, sampleCaseId, sampleCaseInput, sampleCaseView } from '../../schemas/sample-case.js';
import { emptyQuery } from '../../schemas/shared/page.js';
import type { Backends } from '../dependencies.js';
import { requestContextOf } from '../http/request-context.js';
import { withContract } from '../http/route-contract.js';
import { completeSampleCase, getSampleCase, startSampleCase } from './commands.js';

const params = z.strictObject({ sampleCaseId });
const noBody = z.strictObject({}).nullish();
const response = { 200: sampleCaseView };

/** Routes of sample cases: start, read, complete. */
export async function sampleCaseRoutes(instance: FastifyInstance, deps: Backends): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.post(
    '',
    {
      ...withContract({
        operationId: 'startSampleCase',
        summary: 'Start a sample case',
        tag: 'Sample cases',
        access: ['operator'],
        dependencies: ['temporal'],
        problems: ['conflict'],
        idempotency: true,
        headers: { location: 'The URL of the sample case.' },
      }),
      schema: { querystring: emptyQuery, body: sampleCaseInput, response: { 202: sampleCaseAccepted } },
    },
    async ({ body }, reply) => {
      const { sampleCaseId } = body;
      await startSampleCase(deps, body);
      return reply.code(202).header('location', `/v1/sample-cases/${sampleCaseId}`).send({ sampleCaseId });
    },
  );

  app.get(
    '/:sampleCaseId',
    {
      ...withContract({
        operationId: 'getSampleCase',
        summary: 'Get a sample case',
        tag: 'Sample cases',
        access: ['operator'],
        dependencies: ['worker'],
      }),
      schema: { params, querystring: emptyQuery, response },
    },
    async ({ params: { sampleCaseId } }) => getSampleCase(deps, sampleCaseId),
  );

  app.post(
    '/:sampleCaseId/complete',
    {
      ...withContract({
        operationId: 'completeSampleCase',
        summary: 'Complete a sample case',
        tag: 'Sample cases',
        access: ['operator'],
        dependencies: ['worker'],
        problems: ['conflict', 'update-limit'],
        idempotency: true,
      }),
      schema: { params, querystring: emptyQuery, body: noBody, response },
    },
    async (request) => completeSampleCase(deps, request.params.sampleCaseId, requestContextOf(request)),
  );
}
