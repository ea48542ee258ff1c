import { randomUUID } from 'node:crypto';
import { TypedSearchAttributes } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countOpenWorkflows } from '../../src/observability/open-work.js';
import { quoteCallerId } from '../../src/temporal/client/visibility.js';
import { customerIdAttribute } from '../../src/workflows/order/contract.js';
import { waitUntil } from '../support/processes.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/temporal/dev-server.js';

describeOnDevServer('the id of a caller in a visibility query', () => {
  let server: DevServer;
  beforeAll(async () => {
    server = await startDevServer();
  });
  afterAll(() => server?.close());

  const count = (customerId: string) =>
    countOpenWorkflows(server, 'order', `CustomerId = ${quoteCallerId(customerId)}`);

  test.each(["o'brien@example.com", "a'or/**/CustomerId!='b", '100%_sure', "!#$%&'()*+,-./:;=?@[]^_{|}~"])(
    '%j finds only the workflows with exactly this value',
    async (customerId) => {
      for (const id of [customerId, `other-${randomUUID()}`])
        await server.client.workflow.start('order', {
          workflowId: `order:${randomUUID()}`,
          taskQueue: 'no-worker-of-this-test',
          typedSearchAttributes: new TypedSearchAttributes([{ key: customerIdAttribute, value: id }]),
        });

      const found = await waitUntil(async () => (await count(customerId)) || undefined, {
        description: `the workflow of ${customerId}`,
        timeoutMs: 20_000,
      });

      expect(found).toBe(1);
    },
  );
});
