import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApprovalInput, ApprovalResource } from '../../../src/schemas/approval.js';
import { PUBLIC_URL } from '../../support/shop/test-activities.js';
import { startApi, type Api } from '../../support/api/api.js';
import { makeApproval, makeApprover, waitForApproval, makeStage, startApproval } from '../../support/shop/approvals.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { startShop, type Shop } from '../../support/shop/shop.js';

const PHONE_CONTEXT: BrowserContextOptions = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

/** A script that runs in the page. Returns the lowest contrast (WCAG 2) between a text and its background. */
const LOWEST_CONTRAST = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const isClear = (color) => channels(color)[3] === 0;
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return isClear(color) ? behind(element.parentElement) : color;
  };
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const texts = [...document.querySelectorAll('main, main *')].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''));
  return Math.min(...texts.map((element) =>
    contrast(luminance(getComputedStyle(element).color), luminance(behind(element)))));
})()`;

describeOnDevServer('an approval link from a mail', () => {
  describeInBrowser('in a real browser without JavaScript', () => {
    let shop: Shop;
    let api: Api;

    beforeAll(async () => {
      shop = await startShop(await startDevServer(), { queues: ['approvals'] });
      api = await startApi(shop);
    });
    afterAll(async () => {
      await api?.close();
      await shop?.close();
    });

    const browser = useBrowser();
    const [lead, manager] = [makeApprover('lead'), makeApprover('manager')];

    async function startRequestedApproval(overrides: Partial<ApprovalInput> = {}): Promise<ApprovalInput> {
      const input = makeApproval({ stages: [makeStage(lead, manager)], ...overrides });
      const handle = await startApproval(shop.client, input);
      const isSent = ({ status }: { status: string }) => status === 'sent';
      await waitForApproval(handle, ({ notifications: all }) => all.length === 2 && all.every(isSent), 'two mails');
      return input;
    }

    /** Returns the link in the approver's mail, with the origin replaced by the address of this test's API. */
    async function linkIn({ title }: ApprovalInput, { email } = lead): Promise<string> {
      const mail = (await shop.fakes.mailbox.mailsTo(email)).findLast(({ subject }) => subject.includes(title));
      const [, path] = new RegExp(`${PUBLIC_URL}(/approvals/\\S+)`).exec(mail?.text ?? '') ?? [];
      expect(path, mail?.text).toBeDefined();
      return api.url + path!;
    }

    interface Opened {
      page: Page;
      /** The URLs of the forms that the page submitted. */
      sent: string[];
      /** The messages in the browser's console, for example about a blocked style. */
      complaints: string[];
    }

    async function openIn(options: BrowserContextOptions, url: string): Promise<Opened> {
      const page = await browser.newPage({ javaScriptEnabled: false, ...options });
      const [sent, complaints]: [string[], string[]] = [[], []];
      page.on('request', (request) => void (request.method() === 'POST' && sent.push(request.url())));
      page.on('console', (message) => void complaints.push(message.text()));
      await page.goto(url);
      return { page, sent, complaints };
    }

    const isFocused = (locator: ReturnType<Page['locator']>) => locator.and(locator.page().locator(':focus')).count();
    const overflow = (page: Page) => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
    const backgroundColor = (page: Page) => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');

    async function decisionsOn({ approvalId }: ApprovalInput) {
      const { body } = await api.get<ApprovalResource>(`/v1/approvals/${approvalId}`);
      return body.trail.filter(({ event }) => event === 'decided');
    }

    test('an approver approves with only the keyboard on a phone-sized screen, and all approvers see the outcome', async () => {
      const input = await startRequestedApproval({
        title: 'A second roaster',
        amount: { value: 1_249_900, currency: 'EUR' },
      });
      const link = await linkIn(input);
      const { page, sent, complaints } = await openIn(PHONE_CONTEXT, link);

      expect(await page.title()).toBe('Please decide: A second roaster');
      expect(await page.getByRole('main').getByRole('heading', { level: 1, name: input.title }).count()).toBe(1);
      expect(await page.getByText('€12,499.00').isVisible()).toBe(true);
      expect(await page.getByText(lead.id).isVisible()).toBe(true);
      expect(await page.evaluate('innerWidth')).toBe(PHONE_CONTEXT.viewport?.width);
      expect(await overflow(page)).toBeLessThanOrEqual(0);

      const comment = page.getByRole('textbox', { name: 'Comment (optional)', exact: true });
      const approve = page.getByRole('button', { name: 'Approve', exact: true });
      expect(await page.getByRole('button', { name: 'Reject', exact: true }).count()).toBe(1);
      await page.keyboard.press('Tab');
      expect(await isFocused(comment)).toBe(1);
      await page.keyboard.type('Go ahead.\nBut ask "first".');
      await page.keyboard.press('Tab');
      expect(await isFocused(approve)).toBe(1);
      expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
      await page.keyboard.press('Enter');

      const outcome = page.getByRole('heading', { name: 'Approved by you', exact: true });
      await outcome.waitFor();
      expect(page.url()).toBe(link);
      expect(await page.getByText('But ask "first".').isVisible()).toBe(true);
      expect(await page.getByRole('button').count()).toBe(0);
      expect(await overflow(page)).toBeLessThanOrEqual(0);

      await page.reload();
      expect(await outcome.isVisible()).toBe(true);
      await page.goBack();
      await page.goForward();
      await page.goto(link);
      expect(await outcome.isVisible()).toBe(true);
      expect(sent).toEqual([link]);
      expect(complaints).toEqual([]);
      expect(await decisionsOn(input)).toMatchObject([
        { approver: lead.id, decision: 'approve', via: 'link', comment: 'Go ahead.\nBut ask "first".' },
      ]);

      const theirs = await openIn(PHONE_CONTEXT, await linkIn(input, manager));
      expect(await theirs.page.getByText('This is already decided').isVisible()).toBe(true);
      expect(await theirs.page.getByRole('heading', { name: `Approved by ${lead.id}` }).isVisible()).toBe(true);
      expect(await theirs.page.getByRole('button').count()).toBe(0);
    });

    test('the page reports that a decision came too late if another approver has already decided', async () => {
      const input = await startRequestedApproval({ title: 'Left open' });
      const [mine, theirs] = [
        await openIn({}, await linkIn(input)),
        await openIn(PHONE_CONTEXT, await linkIn(input, manager)),
      ];
      await mine.page.getByRole('button', { name: 'Reject' }).click();
      await mine.page.getByRole('heading', { name: 'Rejected by you' }).waitFor();

      await theirs.page.getByRole('button', { name: 'Approve' }).tap();

      await theirs.page.getByRole('alert').getByText('came too late').waitFor();
      expect(await theirs.page.getByRole('heading', { name: `Rejected by ${lead.id}` }).isVisible()).toBe(true);
      expect(await decisionsOn(input)).toHaveLength(1);
    });

    test('for a comment that is too long, the page shows an error, keeps the comment and links to its field', async () => {
      const input = await startRequestedApproval({ title: 'Much to say' });
      const { page } = await openIn({}, await linkIn(input));
      const comment = page.getByRole('textbox', { name: 'Comment' });
      await comment.fill(`\n${'word '.repeat(240)}.`);
      await page.getByRole('button', { name: 'Reject' }).click();

      await page.getByRole('alert').getByRole('link', { name: 'The comment has 1,201 characters' }).click();
      expect(await isFocused(comment)).toBe(1);
      expect(await comment.inputValue()).toBe(`\n${'word '.repeat(240)}.`);
      expect(await comment.getAttribute('aria-invalid')).toBe('true');
      expect(await decisionsOn(input)).toEqual([]);

      await comment.fill('No.');
      await page.getByRole('button', { name: 'Reject' }).click();
      await page.getByRole('heading', { name: 'Rejected by you' }).waitFor();
      expect(await decisionsOn(input)).toMatchObject([{ decision: 'reject', comment: 'No.' }]);
    });

    test('the approval page has enough contrast in light and dark mode', async () => {
      const input = await startRequestedApproval({ title: 'Day and night' });
      const link = await linkIn(input);
      const grounds: string[] = [];
      const opened: Page[] = [];

      for (const colorScheme of ['light', 'dark'] as const) {
        const { page } = await openIn({ colorScheme }, link);
        opened.push(page);
        grounds.push(await backgroundColor(page));
        expect(await page.evaluate(LOWEST_CONTRAST)).toBeGreaterThanOrEqual(4.5);
        await page.getByRole('textbox').fill('x'.repeat(1_001));
        await page.getByRole('button', { name: 'Approve' }).click();
        await page.getByRole('alert').waitFor();
        expect(await page.evaluate(LOWEST_CONTRAST)).toBeGreaterThanOrEqual(4.5);
      }
      expect(new Set(grounds).size).toBe(2);

      await opened[0]!.getByRole('textbox').fill('Well.');
      await opened[0]!.getByRole('button', { name: 'Approve' }).click();
      await opened[0]!.getByRole('heading', { name: 'Approved by you' }).waitFor();
      await opened[1]!.goto(link);
      for (const page of opened) expect(await page.evaluate(LOWEST_CONTRAST)).toBeGreaterThanOrEqual(4.5);
    });

    test('the approval page does not scroll sideways on a phone if a word is wider than the screen', async () => {
      const input = await startRequestedApproval({
        title: 'W'.repeat(200),
        description: `${'https://example.com/'.repeat(20)}\nend`,
      });
      const { page } = await openIn(PHONE_CONTEXT, await linkIn(input));
      expect(await overflow(page)).toBeLessThanOrEqual(0);

      await page.getByRole('textbox').fill('M'.repeat(1_000));
      await page.getByRole('button', { name: 'Approve' }).tap();
      await page.getByRole('heading', { name: 'Approved by you' }).waitFor();
      expect(await overflow(page)).toBeLessThanOrEqual(0);
    });
  });
});
