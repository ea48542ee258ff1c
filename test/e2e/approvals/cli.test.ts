import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApprovalView } from '../../../src/schemas/approval.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { runTemporalCli } from '../../support/temporal/temporal-cli.js';

describeOnDevServer('an approval from the command line', () => {
  let server: DevServer;
  let shop: Shop;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { queues: ['approvals', 'orders', 'payments'] });
  });
  afterAll(async () => {
    await shop?.close();
  });

  const view = (workflowId: string) => shop.client.workflow.getHandle(workflowId).query<ApprovalView>('approval');
  const start = (id: string, ...input: string[]) =>
    runTemporalCli(
      server,
      'workflow',
      'start',
      '--type',
      'approval',
      '--task-queue',
      'approvals',
      '--workflow-id',
      `approval:${id}`,
      ...input,
    );

  test('an approval that is started and decided from the command line ends as approved', async () => {
    const stages = [{ approvers: [{ id: 'grace' }], timeoutSeconds: 86_400 }];
    const input = { approvalId: 'holiday', title: 'A week off?', requestedBy: 'ada', stages };
    const options = ['--id-reuse-policy', 'RejectDuplicate', '--input', JSON.stringify(input)];
    expect((await start('holiday', ...options)).code).toBe(0);
    const target = ['--workflow-id', 'approval:holiday'];
    expect((await runTemporalCli(server, 'workflow', 'query', ...target, '--type', 'approval')).code).toBe(0);
    const decision = ['--name', 'decide', '--input', '{"approver":"grace","decision":"approve"}'];
    expect((await runTemporalCli(server, 'workflow', 'update', 'execute', ...target, ...decision)).code).toBe(0);

    expect(await shop.client.workflow.getHandle('approval:holiday').result()).toMatchObject({
      status: 'approved',
      decision: { approver: 'grace', decision: 'approve', via: 'cli' },
    });
  });

  test.each<[what: string, input: string[]]>([
    ['no input', []],
    ['null', ['--input', 'null']],
    ['text', ['--input', '"approve it"']],
    ['an array', ['--input', '[]']],
    ['no stages', ['--input', '{"approvalId":"bad","title":"?","requestedBy":"ada"}']],
    ['two arguments', ['--input', '{}', '--input', '{}']],
  ])('an approval that is started with %s fails at once as InvalidInput', async (what, input) => {
    const id = what.replaceAll(' ', '-');
    expect((await start(id, ...input)).code).toBe(0);
    const ended = shop.client.workflow.getHandle(`approval:${id}`).result();
    await expect(ended).rejects.toMatchObject({ cause: { type: 'InvalidInput' } });
  });

  test('an approval stays pending after malformed decisions in signals and updates', async () => {
    const input = {
      approvalId: 'robust',
      title: '?',
      requestedBy: 'ada',
      stages: [{ approvers: [{ id: 'grace' }], timeoutSeconds: 600 }],
    };
    await start('robust', '--input', JSON.stringify(input));
    const to = ['--workflow-id', 'approval:robust', '--name', 'decide'];
    for (const argument of [
      'null',
      '[]',
      '"approve"',
      '{"approver":"grace"}',
      '{"approver":{},"decision":"approve"}',
    ]) {
      expect((await runTemporalCli(server, 'workflow', 'signal', ...to, '--input', argument)).code).toBe(0);
      const update = await runTemporalCli(server, 'workflow', 'update', 'execute', ...to, '--input', argument);
      expect(update.code, argument).not.toBe(0);
    }
    expect((await runTemporalCli(server, 'workflow', 'signal', ...to)).code).toBe(0);
    expect(await view('approval:robust')).toMatchObject({ status: 'pending' });

    const reject = '{"approver":"grace","decision":"reject","comment":"no"}';
    expect((await runTemporalCli(server, 'workflow', 'signal', ...to, '--input', reject)).code).toBe(0);
    expect(await shop.client.workflow.getHandle('approval:robust').result()).toMatchObject({ status: 'rejected' });
  });
});
