import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endpointOf, ensureEndpoint } from '../../src/temporal/nexus-endpoints.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/temporal/dev-server.js';

test('the endpoint of a namespace in Temporal Cloud has no dots', () => {
  expect(endpointOf('approvals.a1b2c')).toBe('approvals-a1b2c');
});

describeOnDevServer('ensureEndpoint', () => {
  let server: DevServer;
  beforeAll(async () => {
    server = await startDevServer();
  });
  afterAll(async () => {
    await server?.close();
  });

  test('creates a missing endpoint, and keeps an existing endpoint', async () => {
    const { namespace } = await server.openNamespace(`approvals-${randomUUID()}`);
    const target = { namespace, taskQueue: 'approvals' };
    expect(await ensureEndpoint(server.connection, target)).toBe(true);
    expect(await ensureEndpoint(server.connection, target)).toBe(false);
  });

  test('rejects an endpoint that routes to another task queue', async () => {
    const { namespace } = await server.openNamespace(`approvals-${randomUUID()}`);
    await ensureEndpoint(server.connection, { namespace, taskQueue: 'other' });
    await expect(ensureEndpoint(server.connection, { namespace, taskQueue: 'approvals' })).rejects.toThrow(
      `the Nexus endpoint ${namespace} routes to task queue other of namespace ${namespace}`,
    );
  });
});
