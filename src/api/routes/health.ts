import type { Client } from '@temporalio/client';
import type { FastifyInstance } from 'fastify';
import { TASK_QUEUES } from '../../temporal.js';
import type { AppDependencies } from '../app.js';
import { hasPoller } from '../executions.js';

/** `/livez`: the process answers. `/readyz`: orders can be taken, that is Temporal, a worker and the store are there. */
export async function healthRoutes(app: FastifyInstance, { client, store }: AppDependencies): Promise<void> {
  app.get('/livez', async () => ({ status: 'ok' }));

  app.get('/readyz', async (_request, reply) => {
    const [worker, database] = await Promise.all([
      silentQueues(client).then(
        (silent) => (silent.length ? `no worker polls task queue ${silent.join(', ')}` : 'ok'),
        () => undefined,
      ),
      store.ping().then(
        () => 'ok',
        () => 'the database does not answer',
      ),
    ]);
    const checks = {
      temporal: worker === undefined ? 'Temporal does not answer' : 'ok',
      worker: worker ?? 'unknown',
      store: database,
    };
    const ready = Object.values(checks).every((check) => check === 'ok');
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', checks });
  });
}

/** The task queues without a worker. No call is under way any more when this throws: the connection may be closed then. */
async function silentQueues(client: Client): Promise<string[]> {
  const looks = TASK_QUEUES.map(async (queue) => ((await hasPoller(client, queue)) ? [] : [queue]));
  await Promise.allSettled(looks);
  return (await Promise.all(looks)).flat();
}
