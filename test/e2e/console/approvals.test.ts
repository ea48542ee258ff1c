import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApprovalInput, ApprovalResource } from '../../../src/schemas/approval.js';
import { decideSignal } from '../../../src/workflows/approval/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeInBrowser, useBrowser, type OpenedPage } from '../../support/api/browser.js';
import { authOf, createCaller, type TestCaller } from '../../support/api/callers.js';
import { DEVICES, expectGoodPage, takeStatusError } from '../../support/api/console-pages.js';
import { FROM_OWN_PAGE } from '../../support/api/sign-in.js';
import { makeApproval, makeStage, startApproval, waitForApproval } from '../../support/shop/approvals.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

const [lead, boss, ada] = [createCaller(['approver']), createCaller(['approver']), createCaller(['approver'])];
const operator = createCaller(['operator']);
const shopper = createCaller(['shopper']);

describeOnDevServer('the approvals in the console', () => {
  describeInBrowser('in a browser', () => {
    let shop: Shop;
    let api: Api;
    let openApi: Api;

    beforeAll(async () => {
      shop = await startShop(await startDevServer(), { queues: ['approvals'] });
      api = await startApi({ ...shop, auth: authOf(lead, boss, ada, operator, shopper) });
      openApi = await startApi(shop);
    });
    afterAll(async () => {
      await openApi?.close();
      await api?.close();
      await shop?.close();
    });

    async function startRequest(overrides: Partial<ApprovalInput> = {}) {
      const input = makeApproval({
        stages: [makeStage({ id: lead.id }, { id: boss.id })],
        requestedBy: ada.id,
        amount: { value: 1_249_900, currency: 'EUR' },
        ...overrides,
      });
      const handle = await startApproval(shop.client, input);
      await waitForApproval(handle, ({ trail }) => trail.length > 0, 'the request');
      return { ...input, handle, path: `/approvals/${input.approvalId}` };
    }

    const browser = useBrowser();
    const { openAs } = browser.below(() => `${api.url}/console`);

    async function decisionsOn({ approvalId }: ApprovalInput) {
      const { body } = await openApi.get<ApprovalResource>(`/v1/approvals/${approvalId}`);
      return body.trail.filter(({ event }) => event === 'decided');
    }

    test('an approver decides from the inbox with the keyboard, and another approver sees the outcome at once', async () => {
      const request = await startRequest({
        title: 'A second roaster',
        stages: [makeStage({ id: lead.id }, { id: boss.id }), makeStage({ id: 'owner' })],
      });
      const mine = await openAs(lead, '/approvals');
      const theirs = await openAs(boss, request.path);
      expect(await theirs.page.getByRole('button', { name: 'Approve' }).count()).toBe(1);

      const row = mine.page.getByRole('row').filter({ hasText: request.title });
      expect(await row.innerText()).toMatch(new RegExp(`pending.*${ada.id}.*€12,499.00`, 's'));
      await row.getByRole('link').focus();
      await mine.page.keyboard.press('Enter');
      await mine.page.getByRole('heading', { level: 1, name: request.title }).waitFor();
      const content = await mine.page.getByRole('main').innerText();
      expect(content).toContain('If nobody decides by then, the request goes to owner.');
      expect(content).toContain('The first decision counts.');
      expect(content).not.toMatch(/stage/i);

      await mine.page.getByRole('textbox', { name: 'Comment' }).focus();
      await mine.page.keyboard.type('Take the red one.');
      await mine.page.keyboard.press('Tab');
      await mine.page.keyboard.press('Enter');
      await mine.page.getByText(`Approved by ${lead.id}`).waitFor();
      expect(mine.page.url()).toBe(`${api.url}/console${request.path}`);

      await theirs.page.getByText(`Approved by ${lead.id}`).waitFor({ timeout: 20_000 });
      expect(await theirs.page.getByText('Take the red one.').first().isVisible()).toBe(true);
      expect(await theirs.page.getByRole('button', { name: 'Approve' }).count()).toBe(0);

      await mine.page.getByRole('link', { name: 'Approvals' }).click();
      await mine.page.getByRole('heading', { level: 1, name: 'Approvals' }).waitFor();
      expect(await mine.page.getByRole('link', { name: request.title }).count()).toBe(0);
      expect([...mine.browserErrors, ...theirs.browserErrors]).toEqual([]);
      expect(await decisionsOn(request)).toMatchObject([
        { approver: lead.id, decision: 'approve', comment: 'Take the red one.', via: 'api' },
      ]);
    });

    test('a comment that an approver is typing survives an update of the page', async () => {
      const request = await startRequest({ title: 'Typing' });
      const { page } = await openAs(lead, request.path);
      await page.getByRole('textbox', { name: 'Comment' }).fill('Half a sen');
      await page.getByRole('heading', { name: 'What happened' }).click();

      await request.handle.signal(decideSignal, { approver: 'intruder', decision: 'approve' });
      await page.getByText('A decision by intruder').waitFor({ timeout: 20_000 });

      expect(await page.getByRole('textbox', { name: 'Comment' }).inputValue()).toBe('Half a sen');
    });

    test('without JavaScript, a comment that is too long is kept with the problem, and a shorter one is recorded', async () => {
      const request = await startRequest({ title: 'Much to say' });
      const { page } = await openAs(lead, request.path, { javaScriptEnabled: false });
      const comment = page.getByRole('textbox', { name: 'Comment' });
      const typed = `\n${'word '.repeat(240)}.`;
      await comment.fill(typed);
      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await page.getByRole('button', { name: 'Reject' }).click();
      expect((await answered).status()).toBe(400);

      await page.getByRole('alert').getByRole('link', { name: 'The comment has 1,201 characters' }).click();
      expect(await comment.inputValue()).toBe(typed);
      expect(await comment.getAttribute('aria-invalid')).toBe('true');
      expect(await decisionsOn(request)).toEqual([]);

      await comment.fill('No.');
      await page.getByRole('button', { name: 'Reject' }).click();
      await page.getByText(`Rejected by ${lead.id}`).waitFor();
      expect(await decisionsOn(request)).toMatchObject([{ decision: 'reject', comment: 'No.' }]);
    });

    test('a second decision has no effect, and its page shows who was first', async () => {
      const request = await startRequest({ title: 'Left open' });
      const first = await openAs(lead, request.path, { javaScriptEnabled: false });
      const second = await openAs(boss, request.path, { javaScriptEnabled: false });
      await first.page.getByRole('button', { name: 'Approve' }).click();
      await first.page.getByText(`Approved by ${lead.id}`).waitFor();

      const answered = second.page.waitForResponse((response) => response.request().method() === 'POST');
      await second.page.getByRole('button', { name: 'Reject' }).click();

      expect((await answered).status()).toBe(409);
      await second.page.getByRole('alert').getByText(`${lead.id} has already decided: approve`).waitFor();
      expect(await second.page.getByText(`Approved by ${lead.id}`).isVisible()).toBe(true);
      expect(await second.page.getByRole('button', { name: 'Reject' }).count()).toBe(0);
      expect(await decisionsOn(request)).toHaveLength(1);
    });

    test('a requester finds and withdraws a request, and cannot decide it', async () => {
      const request = await startRequest({ title: 'A week off' });
      const { page } = await openAs(ada, '/approvals');
      expect(await page.getByText('Nothing waits for your decision.').isVisible()).toBe(true);
      await page.getByRole('link', { name: 'Requested by you' }).click();
      await page.getByRole('link', { name: request.title }).click();
      await page.getByText('someone else must decide').waitFor();
      expect(await page.getByRole('button', { name: 'Approve' }).count()).toBe(0);

      await page.locator('summary').click();
      await page.getByRole('textbox', { name: 'Reason' }).fill('I stay.');
      await page.getByRole('button', { name: 'Withdraw the request' }).click();

      await page.getByText(/^Withdrawn on/).waitFor();
      expect(await page.getByText('I stay.').first().isVisible()).toBe(true);
      expect((await request.handle.result()).withdrawal?.reason).toBe('I stay.');
    });

    test('approvers see and do only what is theirs; operators see all, but do not decide', async () => {
      const request = await startRequest({ title: 'For the lead only', stages: [makeStage({ id: lead.id })] });
      const theirs = await openAs(boss, '/approvals?view=all');
      expect(await theirs.page.getByRole('link', { name: request.title }).count()).toBe(0);
      expect(await theirs.page.getByRole('link', { name: 'All' }).count()).toBe(0);

      const statusFor = async ({ authHeader }: TestCaller, path: string, form?: Record<string, string>) => {
        const response = await fetch(`${api.url}/console${path}`, {
          method: form ? 'POST' : 'GET',
          ...(form && { body: new URLSearchParams(form) }),
          headers: { ...authHeader, ...FROM_OWN_PAGE },
        });
        await response.body?.cancel();
        return response.status;
      };
      const decision = { decision: 'approve', approver: lead.id };
      expect(await statusFor(boss, request.path)).toBe(404);
      const unknown = await openAs(boss, '/approvals/unknown');
      expect(await unknown.page.getByRole('main').innerText()).toMatch(/There is no approval .*Possible reasons:/s);
      expect(await statusFor(boss, `${request.path}/live`)).toBe(404);
      expect(await statusFor(boss, `${request.path}/decision`, decision)).toBe(404);
      expect(await statusFor(boss, `${request.path}/withdraw`, {})).toBe(404);
      expect(await statusFor(operator, `${request.path}/decision`, decision)).toBe(403);
      expect(await statusFor(shopper, '/approvals')).toBe(403);
      expect(await statusFor(shopper, request.path)).toBe(403);
      expect(await decisionsOn(request)).toEqual([]);

      const { page } = await openAs(operator, `/approvals?requestedBy=${ada.id}&status=pending`);
      await page.getByRole('link', { name: request.title }).click();
      await page.getByRole('heading', { name: 'Messages' }).waitFor();
      expect(await page.getByRole('button', { name: 'Approve' }).count()).toBe(0);
      expect(await page.locator('summary').innerText()).toBe('Withdraw the request');
    });

    test('lists update live, show each approver only their own approvals, and keep a filter that is being typed', async () => {
      const [mine, theirs, all] = [
        await openAs(lead, '/approvals'),
        await openAs(boss, '/approvals'),
        await openAs(operator, '/approvals?status=pending'),
      ];
      const requestedBy = all.page.getByRole('textbox', { name: 'Requested by' });
      await requestedBy.fill('some');
      const forLead = await startRequest({ title: 'A live list', stages: [makeStage({ id: lead.id })] });
      const forBoss = await startRequest({ title: 'Another live list', stages: [makeStage({ id: boss.id })] });
      const linkTo = ({ title }: typeof forLead, { page }: OpenedPage) =>
        page.getByRole('link', { name: title, exact: true });

      for (const [shown, opened] of [
        [forLead, mine],
        [forBoss, theirs],
        [forLead, all],
        [forBoss, all],
      ] as const)
        await linkTo(shown, opened).waitFor({ timeout: 20_000 });
      expect(await linkTo(forBoss, mine).count()).toBe(0);
      expect(await linkTo(forLead, theirs).count()).toBe(0);
      expect(await requestedBy.inputValue()).toBe('some');

      await forLead.handle.signal(decideSignal, { approver: lead.id, decision: 'approve' });
      for (const opened of [mine, all]) await linkTo(forLead, opened).waitFor({ state: 'detached', timeout: 20_000 });
      expect(await linkTo(forBoss, all).count()).toBe(1);
      expect([mine, theirs, all].flatMap(({ browserErrors }) => browserErrors)).toEqual([]);
    });

    test('without authentication, a visitor chooses the approver to act as', async () => {
      const request = await startRequest({ title: 'Nobody signs in' });
      const { page } = await browser.open(`${openApi.url}/console/approvals`);
      await page.getByRole('textbox', { name: 'Waits for' }).fill(boss.id);
      await page.getByRole('button', { name: 'Filter' }).click();
      await page.getByRole('link', { name: request.title }).click();

      const select = page.getByRole('combobox', { name: 'Decide as' });
      expect(await select.inputValue()).toBe(boss.id);
      expect(await select.getByRole('option').allInnerTexts()).toEqual([lead.id, boss.id]);
      await page.getByRole('button', { name: 'Reject' }).click();
      await page.getByText(`Rejected by ${boss.id}`).waitFor();
      expect(await decisionsOn(request)).toMatchObject([{ approver: boss.id }]);
    });

    test('an invalid filter keeps its text and shows the problem', async () => {
      const { page } = await openAs(operator, '/approvals?view=all&approver=not+an+id');
      expect(await page.getByRole('alert').innerText()).toContain('Waits for: must be');
      expect(await page.getByRole('textbox', { name: 'Waits for' }).inputValue()).toBe('not an id');
    });

    test.each(DEVICES)('is accessible and fits the screen on $device', async ({ options }) => {
      const request = await startRequest({
        title: 'W'.repeat(200),
        description: `${'https://example.com/'.repeat(20)}\nend`,
      });
      await expectGoodPage(await openAs(operator, '/approvals', options));
      await expectGoodPage(await openAs(operator, request.path, options));
      await expectGoodPage(await openAs(boss, '/approvals', options));
      const opened = await openAs(lead, request.path, options);
      await expectGoodPage(opened);
      await opened.page.getByRole('textbox').fill('x'.repeat(1_001));
      await opened.page.getByRole('button', { name: 'Approve' }).click();
      await opened.page.getByRole('alert').waitFor();
      takeStatusError(opened, 400);
      await expectGoodPage(opened);
      await opened.page.getByRole('textbox').fill('M'.repeat(1_000));
      await opened.page.getByRole('button', { name: 'Approve' }).click();
      await opened.page.getByText(`Approved by ${lead.id}`).waitFor();
      await expectGoodPage(opened);
    });
  });
});
