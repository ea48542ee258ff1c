import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/read.js';
import { checkTemporal } from '../../../src/startup/checks/temporal.js';
import { ensureNamespace } from '../../../src/temporal/provisioning.js';
import { openConnection } from '../../../src/temporal/connections.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';

const NAMESPACE = 'kept-for-a-week';

describeOnDevServer('the check of the Temporal server', () => {
  let server: DevServer;
  beforeAll(async () => {
    server = await startDevServer();
    const connection = await openConnection(config());
    await ensureNamespace(connection, NAMESPACE, { retentionDays: 7 });
    await connection.close();
  });
  afterAll(async () => {
    await server?.close();
  });

  const config = () => loadConfig('replay', { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: NAMESPACE });
  const check = async (orderRetentionDays?: number) =>
    await checkTemporal(config(), { expectNamespace: true, orderRetentionDays });

  test('rejects a retention of orders that is shorter than the retention of the namespace', async () => {
    expect(await check(6)).toEqual({
      kind: 'rejected',
      name: 'ORDER_RETENTION_DAYS',
      problem: 'must be at least the retention of the namespace, which is 7 days',
      got: '6',
      example: '7',
    });
    expect(await check(7)).toBeUndefined();
    expect(await check()).toBeUndefined();
  });

  test('rejects a missing namespace of approvals', async () => {
    const target = { ...config(), APPROVAL_NAMESPACE: 'nothing' };
    expect(await checkTemporal(target, { expectNamespace: true })).toEqual({
      kind: 'rejected',
      name: 'APPROVAL_NAMESPACE',
      problem: `Temporal on ${server.address} does not have this namespace; run the setup first`,
      got: 'nothing',
      example: 'approvals',
    });
    expect(await checkTemporal(target, { expectNamespace: false })).toBeUndefined();
  });
});
