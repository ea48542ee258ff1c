import type { Client } from '@temporalio/client';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { liveness, readiness } from '../../schemas/health.js';
import { hasWorkflows, TASK_QUEUES } from '../../temporal/task-queues.js';
import type { AppDependencies } from '../app.js';
import { withContract } from '../http/route-contract.js';
import { hasPoller } from '../executions/worker-calls.js';

/**
 * `/livez`: the process responds. `/readyz`: the API can take orders, because Temporal, the workers and the store are
 * available.
 */
export async function healthRoutes(instance: FastifyInstance, { client, store }: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '/livez',
    {
      ...withContract({
        operationId: 'getLiveness',
        summary: 'The process answers',
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
        summary: 'Orders can be taken, or why not',
        tag: 'Operations',
        access: 'public',
      }),
      schema: { response: { 200: readiness, 503: readiness } },
    },
    async (_request, reply) => {
      const [worker, database] = await Promise.all([
        unpolledTaskQueues(client).then(
          (silent) => (silent.length ? `no worker polls task queue ${silent.join(', ')}` : 'ok'),
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

/**
 * The task queues without a worker. When this throws, no call is in flight any more, because the caller may then close
 * the connection.
 */
async function unpolledTaskQueues(client: Client): Promise<string[]> {
  const looks = TASK_QUEUES.map(async (queue) =>
    (await hasPoller(client, queue, hasWorkflows(queue) ? 'workflow' : 'activity')) ? [] : [queue],
  );
  await Promise.allSettled(looks);
  return (await Promise.all(looks)).flat();
}
