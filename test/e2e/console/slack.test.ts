import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ApprovalResource } from '../../../src/schemas/approval.js';
import type { Stack } from '../../../tools/stack/stack.js';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { waitUntil } from '../../support/processes.js';
import { makeApproval } from '../../support/shop/approvals.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const START_TIMEOUT_MS = 180_000;
const UPDATED_MS = 30_000;

describeOnDevServer('approvals in the fake Slack', () => {
  describeInBrowser('in a browser, on the development stack', () => {
    let stack: Stack;
    let slackUrl: string;

    beforeAll(async () => {
      stack = await startTemporaryStack({ applicationEnv: { WORKFLOW_BUNDLE: inject('workflowBundle') } });
      slackUrl = stack.addresses.slackUrl!;
    }, START_TIMEOUT_MS);
    afterAll(async () => stack?.stop());

    const browser = useBrowser();

    async function requestApproval() {
      const input = makeApproval({
        title: `Buy ${randomUUID()}?`,
        stages: [{ approvers: [{ id: 'grace' }], timeoutSeconds: 3_600 }],
      });
      const response = await fetch(`${stack.addresses.apiUrl}/v1/approvals`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(input),
      });
      expect(response.status).toBe(202);
      return input;
    }

    /** Opens the page of the fake Slack, and waits until the message about an approval contains a text. */
    async function openMessage(title: string, text: string) {
      const { page } = await browser.open(slackUrl);
      const message = page.getByRole('article').filter({ hasText: title });
      await waitUntil(
        async () => {
          await page.reload();
          return (await message.filter({ hasText: text }).count()) > 0 || undefined;
        },
        { description: `a message with "${text}"`, timeoutMs: UPDATED_MS },
      );
      return { page, message };
    }

    const readApproval = async (approvalId: string) => {
      const response = await fetch(`${stack.addresses.apiUrl}/v1/approvals/${approvalId}`);
      return (await response.json()) as ApprovalResource;
    };

    test(
      'a click on Approve decides, and the message shows the outcome without buttons',
      async () => {
        const { approvalId, title } = await requestApproval();
        const { page, message } = await openMessage(title, 'Decide by');
        await message.getByRole('button', { name: 'Approve' }).click();
        await page.getByRole('status').filter({ hasText: 'The app responded 200.' }).waitFor();

        const decided = await openMessage(title, 'Approved by grace');
        expect(await decided.message.getByRole('button').count()).toBe(0);
        expect(await readApproval(approvalId)).toMatchObject({
          status: 'approved',
          decision: { approver: 'grace', via: 'slack' },
          notifications: [{ channel: 'slack', status: 'sent' }],
        });
      },
      START_TIMEOUT_MS,
    );

    test(
      'the form rejects with a comment',
      async () => {
        const { approvalId, title } = await requestApproval();
        const { page, message } = await openMessage(title, 'Decide by');
        await message.getByRole('button', { name: 'Decide with a comment' }).click();
        await page.getByRole('heading', { name: 'Decide' }).waitFor();
        await page.getByLabel('Reject').check();
        await page.getByLabel('Comment').fill('too <expensive> & late');
        await page.getByRole('button', { name: 'Submit' }).click();
        await page.getByRole('heading', { name: 'Slack' }).waitFor();

        const decided = await openMessage(title, 'Rejected by grace');
        expect(await decided.message.innerText()).toContain('too <expensive> & late');
        expect(await readApproval(approvalId)).toMatchObject({
          status: 'rejected',
          decision: { approver: 'grace', via: 'slack', comment: 'too <expensive> & late' },
        });
      },
      START_TIMEOUT_MS,
    );
  });
});
