import { randomUUID } from 'node:crypto';
import type { Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureNamespace } from '../../src/temporal/provisioning.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/temporal/dev-server.js';

describeOnDevServer('ensureNamespace', () => {
  let server: DevServer;
  beforeAll(async () => {
    server = await startDevServer();
  });
  afterAll(async () => {
    await server?.close();
  });

  async function retentionDaysOf(namespace: string): Promise<number> {
    const { config } = await server.client.connection.workflowService.describeNamespace({ namespace });
    return Number(config!.workflowExecutionRetentionTtl!.seconds) / 86_400;
  }

  test('creates a namespace with a retention of 7 days, and changes the retention only if it is set', async () => {
    const connection = server.client.connection as Connection;
    const namespace = `retention-${randomUUID()}`;
    await ensureNamespace(connection, namespace);
    expect(await retentionDaysOf(namespace)).toBe(7);

    await ensureNamespace(connection, namespace, { retentionDays: 30 });
    expect(await retentionDaysOf(namespace)).toBe(30);
    await ensureNamespace(connection, namespace);
    expect(await retentionDaysOf(namespace)).toBe(30);
  });

  test('creates a namespace with the configured retention', async () => {
    const namespace = `retention-${randomUUID()}`;
    await ensureNamespace(server.client.connection as Connection, namespace, { retentionDays: 3 });
    expect(await retentionDaysOf(namespace)).toBe(3);
  });
});
