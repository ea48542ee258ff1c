import type { FastifyInstance } from 'fastify';
import { ORDER_TASK_QUEUE } from '../../workflows/order/contract.js';
import type { AppDependencies } from '../app.js';
import { hasPoller } from '../executions.js';

/** `/livez`: the process answers. `/readyz`: orders can be taken, that is Temporal, a worker and the store are there. */
export async function healthRoutes(app: FastifyInstance, { client, store }: AppDependencies): Promise<void> {
  app.get('/livez', async () => ({ status: 'ok' }));

  app.get('/readyz', async (_request, reply) => {
    const [worker, database] = await Promise.all([
      hasPoller(client, ORDER_TASK_QUEUE).then(
        (polls) => (polls ? 'ok' : `no worker polls task queue ${ORDER_TASK_QUEUE}`),
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
