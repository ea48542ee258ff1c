import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { liveness, readiness } from '../../schemas/health.js';
import { findUnpolledTaskQueues } from '../../temporal/client/pollers.js';
import type { Backends } from '../dependencies.js';
import { withContract } from '../http/route-contract.js';

/**
 * Routes of health checks. `/livez` shows that the process responds. `/readyz` shows whether the API can take orders,
 * which needs Temporal, the workers and the store.
 */
export async function healthRoutes(instance: FastifyInstance, { store, ...clients }: Backends): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '/livez',
    {
      ...withContract({
        operationId: 'getLiveness',
        summary: 'Check that the process responds',
        tag: 'Operations',
        access: 'public',
      }),
      schema: { response: { 200: liveness } },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      ...withContract({
        operationId: 'getReadiness',
        summary: 'Check whether the API can take orders',
        tag: 'Operations',
        access: 'public',
      }),
      schema: { response: { 200: readiness, 503: readiness } },
    },
    async (_request, reply) => {
      const [worker, database] = await Promise.all([
        findUnpolledTaskQueues(clients).then(
          (unpolled) => (unpolled.length ? `no worker polls task queue ${unpolled.join(', ')}` : 'ok'),
          () => undefined,
        ),
        store.checkWritable(),
      ]);
      const checks = {
        temporal: worker === undefined ? 'Temporal does not answer' : 'ok',
        worker: worker ?? 'unknown',
        store: database,
      };
      const ready = Object.values(checks).every((check) => check === 'ok');
      return ready
        ? reply.code(200).send({ status: 'ready', checks })
        : reply.code(503).send({ status: 'not ready', checks });
    },
  );
}
