import { randomUUID } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildApp } from '../../../src/api/app.js';
import { createCursors } from '../../../src/api/http/lists/cursors.js';
import { formatRemainingTime } from '../../../src/api/approvals/pages.js';
import type { ApprovalLink } from '../../../src/approval-links/links.js';
import type { ApprovalInput, ApprovalResource, ApprovalView, Decision } from '../../../src/schemas/approval.js';
import { operations } from '../../../src/batch-operations/index.js';
import { createClient } from '../../../src/temporal/connections.js';
import { decideUpdate, withdrawUpdate } from '../../../src/workflows/approval/contract.js';
import { freePort } from '../../support/processes.js';
import { approvalLinks, LINK_SECRETS, outgoingHttpClient } from '../../support/shop/test-activities.js';
import { startApi, BATCH_UPLOAD_LIMITS, type Api } from '../../support/api/api.js';
import {
  makeApproval,
  makeApprover,
  waitForApproval,
  makeStage,
  startApproval,
  type ApprovalHandle,
} from '../../support/shop/approvals.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startShop, type Shop } from '../../support/shop/shop.js';

const HOUR_MS = 60 * 60_000;

/** Returns the text of the page without markup. */
const textOf = (html: string) =>
  html
    .replace(/<style>.*?<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');

interface Page {
  status: number;
  headers: Headers;
  html: string;
  text: string;
}

/** Sends the request of a browser, but does not follow redirects. */
async function openPage(
  url: string,
  { method = 'GET', form }: { method?: string; form?: string[][] } = {},
): Promise<Page> {
  const response = await fetch(url, {
    method: form ? 'POST' : method,
    redirect: 'manual',
    ...(form && { body: new URLSearchParams(form as [string, string][]) }),
    signal: AbortSignal.timeout(30_000),
  });
  const html = await response.text();
  return { status: response.status, headers: response.headers, html, text: textOf(html) };
}

/** Checks the status of a page, and the headers and HTML rules that apply to every page. */
function expectPage({ status, headers, html }: Page, expected: number): void {
  expect(status, html).toBe(expected);
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(html).toMatch(/^<!doctype html>\s*<html lang="en">/);
  expect(html).toMatch(/<meta name="viewport" content="width=device-width, initial-scale=1" \/>/);
  expect(html.match(/<title>[^<]+<\/title>/g)).toHaveLength(1);
  expect(html.match(/<main>/g)).toHaveLength(1);
  expect(html.match(/<h1[ >]/g)).toHaveLength(1);
  expect(html).not.toContain('<script');
  expectSecurityHeaders(headers);
}

function expectSecurityHeaders(headers: Headers): void {
  expect(Object.fromEntries(headers)).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-robots-tag': 'noindex',
    'x-content-type-options': 'nosniff',
    'content-security-policy': expect.stringMatching(
      /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
    ),
    'x-request-id': expect.stringMatching(/^[\da-f-]{36}$/),
  });
}

test.each([
  [-1, 'expired'],
  [30_000, 'less than a minute left'],
  [60_000, '1 minute left'],
  [HOUR_MS, '1 hour left'],
  [HOUR_MS + 2 * 60_000, '1 hour 2 minutes left'],
  [24 * HOUR_MS + 5 * 60_000, '1 day left'],
  [51 * HOUR_MS + 59 * 60_000, '2 days 3 hours left'],
])('formats a deadline that is %d ms away as "%s"', (ms, expectedText) => {
  const now = new Date('2026-11-23T07:00:00Z');
  expect(formatRemainingTime(new Date(now.getTime() + ms), now)).toBe(expectedText);
});

describeOnDevServer('approval pages', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { queues: ['approvals'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  interface Asked {
    input: ApprovalInput;
    handle: ApprovalHandle;
    /** Builds the link URL. Omitted fields have the same values as in the link of the mail. */
    url: (link?: Partial<ApprovalLink> & { expiresAt?: Date }) => Promise<string>;
    decide: (decision: Partial<Decision> & Pick<Decision, 'decision'>) => Promise<unknown>;
    decisions: () => Promise<ApprovalResource['trail']>;
  }

  const lead = makeApprover('lead');
  const manager = makeApprover('manager');

  async function startNotifiedApproval(overrides: Partial<ApprovalInput> = {}): Promise<Asked> {
    const input = makeApproval({ stages: [makeStage(lead, manager)], ...overrides });
    const handle = await startApproval(shop.client, input);
    // After this, the workflow has no pending work, so only the test adds events to the history.
    await waitForApproval(
      handle,
      (view) => view.trail.length > 0 && isEveryoneNotified(view),
      'all approvers notified',
    );
    return {
      input,
      handle,
      async url({ expiresAt = new Date(Date.now() + HOUR_MS), ...link } = {}) {
        const { approvalId } = input;
        const { firstExecutionRunId: firstRunId } = handle;
        return `${api.url}/approvals/${await approvalLinks.sign({ approvalId, firstRunId, stage: 1, approver: lead.id, ...link }, expiresAt)}`;
      },
      decide: (decision) => handle.executeUpdate(decideUpdate, { args: [{ approver: lead.id, ...decision }] }),
      async decisions() {
        const { body } = await api.get<ApprovalResource>(`/v1/approvals/${input.approvalId}`);
        return body.trail.filter(({ event }) => event === 'decided');
      },
    };
  }

  const isEveryoneNotified = ({ notifications }: ApprovalView) =>
    notifications.every(({ status }) => status === 'sent');
  const pastTime = () => new Date(Date.now() - 1_000);

  describe('opening the approval link', () => {
    test('an approval link shows the request, the requester, the approver’s identity, the remaining time and a form', async () => {
      const { url } = await startNotifiedApproval({
        title: 'A second roaster',
        description: 'The old one fails.\nThis is the cheapest.',
        requestedBy: 'ada',
        amount: { value: 1_249_900, currency: 'EUR' },
        stages: [{ approvers: [lead], timeoutSeconds: 183_900 }, makeStage(manager)],
      });

      const page = await openPage(await url());

      expectPage(page, 200);
      expect(page.html).toContain('<title>Please decide: A second roaster</title>');
      expect(page.html).toContain('>The old one fails.\nThis is the cheapest.<');
      expect(page.text).toContain('Amount €12,499.00');
      expect(page.text).toContain('Requested by ada');
      expect(page.text).toContain(`You decide as ${lead.id}`);
      expect(page.text).toContain(`If nobody decides by then, the request goes to ${manager.id}.`);
      expect(page.text).not.toContain('Stage');
      expect(page.text).toMatch(/Deadline 2 days 3 hours left, until \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
      expect(page.html).toContain('<form method="post">');
      expect(page.html).toContain('<label for="comment">');
      expect(page.html.match(/name="decision" value="\w+"/g)).toEqual([
        'name="decision" value="approve"',
        'name="decision" value="reject"',
      ]);
    });

    test.each([
      [{ value: 500, currency: 'JPY' }, '¥500'],
      [{ value: 1_250_000, currency: 'HUF' }, 'HUF 12,500.00'],
      [{ value: 1_500, currency: 'KWD' }, 'KWD 1.500'],
    ])('an approval page shows the amount %j in the format of its currency', async (amount, expectedText) => {
      const { url } = await startNotifiedApproval({ amount });

      expect((await openPage(await url())).text.replaceAll('\u00a0', ' ')).toContain(`Amount ${expectedText}`);
    });

    test('repeated opening, prefetching or scanning of an approval link decides nothing', async () => {
      const { url, handle } = await startNotifiedApproval();
      const link = await url();
      const historyLength = async () => (await handle.describe()).historyLength;
      const before = await historyLength();

      for (const suffix of ['', '?decision=approve', '', '?decision=reject&comment=x', '']) {
        expectPage(await openPage(link + suffix), 200);
        const head = await openPage(link + suffix, { method: 'HEAD' });
        expect(head.status).toBe(200);
        expectSecurityHeaders(head.headers);
      }

      expect(await historyLength()).toBe(before);
    });

    test('approval pages escape HTML in the text of a request', async () => {
      const evil = `</title></textarea><script>alert(1)</script><img src=x onerror=alert(2)> "quoted" 'single' $\{7} &lt;`;
      const { url, input } = await startNotifiedApproval({ title: evil, description: `href="${evil}` });
      const link = await url();
      const comment = evil.repeat(20);

      const question = await openPage(link);
      const rejected = await openPage(link, {
        form: [
          ['decision', 'approve'],
          ['comment', comment],
        ],
      });
      const decided = await openPage(link, {
        form: [
          ['decision', 'approve'],
          ['comment', evil],
        ],
      });
      const outcome = await openPage(link);

      expect(comment.length).toBeGreaterThan(1_000);
      expectPage(rejected, 400);
      expect(decided.status).toBe(303);
      for (const page of [question, outcome]) expectPage(page, 200);
      for (const { html } of [question, rejected, outcome]) {
        expect(html).not.toMatch(/<(script|img)/);
        expect(html).not.toContain('"quoted"');
        expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
        expect(html).toContain('&amp;lt;');
      }
      const { body } = await api.get<ApprovalResource>(`/v1/approvals/${input.approvalId}`);
      expect(body.decision?.comment).toBe(evil);
    });
  });

  describe('sending the approval form', () => {
    test.each([
      ['approve', 'approved', 'Approved by you'],
      ['reject', 'rejected', 'Rejected by you'],
    ])(
      'accepts the decision "%s" from the form and redirects to the outcome',
      async (decision, status, expectedText) => {
        const { url, input } = await startNotifiedApproval();
        const link = await url();

        const sent = await openPage(link, {
          form: [
            ['comment', '  one\r\ntwo \r\n'],
            ['decision', decision],
          ],
        });

        expect(sent.status).toBe(303);
        expectSecurityHeaders(sent.headers);
        expect(new URL(sent.headers.get('location')!, link).href).toBe(link);
        const { body } = await api.get<ApprovalResource>(`/v1/approvals/${input.approvalId}`);
        expect(body).toMatchObject({
          status,
          decision: { approver: lead.id, via: 'link', stage: 1, comment: 'one\ntwo' },
        });

        const outcome = await openPage(link);
        expectPage(outcome, 200);
        expect(outcome.text).toMatch(new RegExp(`${expectedText} On \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC one two`));
        expect(outcome.html).not.toContain('<form');
      },
    );

    test('accepts a comment of 1,000 characters even when the browser sends its line breaks as CRLF', async () => {
      const { url, decisions } = await startNotifiedApproval();
      const comment = 'x\n'.repeat(500).slice(0, -1) + 'x';
      expect(comment).toHaveLength(1_000);

      const sent = await openPage(await url(), {
        form: [
          ['decision', 'reject'],
          ['comment', comment.replaceAll('\n', '\r\n')],
        ],
      });

      expect(sent.status).toBe(303);
      expect(await decisions()).toMatchObject([{ comment }]);
    });

    test('stores no comment when the comment of the form is blank', async () => {
      const { url, decisions } = await startNotifiedApproval();

      expect(
        (
          await openPage(await url(), {
            form: [
              ['decision', 'approve'],
              ['comment', ' \r\n'],
            ],
          })
        ).status,
      ).toBe(303);

      const [decided] = await decisions();
      expect(decided).toMatchObject({ decision: 'approve' });
      expect(decided).not.toHaveProperty('comment');
    });

    test('records one decision when the form is sent twice concurrently and then again', async () => {
      const { url, decisions } = await startNotifiedApproval();
      const link = await url();
      const send = () => openPage(link, { form: [['decision', 'approve']] });

      const responses = [...(await Promise.all([send(), send()])), await send()];

      expect(responses.map(({ status }) => status)).toEqual([303, 303, 303]);
      expect(await decisions()).toHaveLength(1);
    });

    test.each<[string, string[][], string]>([
      ['has no decision', [['comment', 'Well "thought"']], 'Choose “Approve” or “Reject”.'],
      [
        'has an unknown decision',
        [
          ['comment', 'Well "thought"'],
          ['decision', 'maybe'],
        ],
        'Choose “Approve”',
      ],
      [
        'has both decisions',
        [
          ['comment', 'Well "thought"'],
          ['decision', 'approve'],
          ['decision', 'reject'],
        ],
        'Choose “Approve”',
      ],
      [
        'has a comment of 1,001 characters',
        [
          ['comment', `Well "thought"${'x'.repeat(987)}`],
          ['decision', 'approve'],
        ],
        '1,001',
      ],
      [
        'has a NUL character in its comment',
        [
          ['comment', 'Well "thought"\0'],
          ['decision', 'approve'],
        ],
        'cannot be stored',
      ],
    ])(
      'rejects a form that %s with 400, and shows the form, the error and the comment',
      async (_description, form, expectedText) => {
        const { url, decisions } = await startNotifiedApproval();

        const page = await openPage(await url(), { form });

        expectPage(page, 400);
        expect(page.html).toContain('<title>Error: May we?</title>');
        expect(/<div[^>]*role="alert">.*?<\/div>/s.exec(page.html)?.[0]).toContain(expectedText);
        expect(page.html).toMatch(/<textarea[^>]*>\nWell &quot;thought&quot;/);
        expect(await decisions()).toEqual([]);
      },
    );

    test('the approval page rejects an empty form with 400 and JSON with 415', async () => {
      const { url, decisions } = await startNotifiedApproval();
      const link = await url();
      const json = await fetch(link, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ decision: 'approve' }),
      });

      expectPage(await openPage(link, { method: 'POST' }), 400);
      const { status, headers } = json;
      const html = await json.text();
      expectPage({ status, headers, html, text: textOf(html) }, 415);
      expect(await decisions()).toEqual([]);
    });

    test('the approval page rejects a form that is too large with 413, and the method DELETE with 405', async () => {
      const link = await (await startNotifiedApproval()).url();

      expectPage(await openPage(link, { form: [['comment', 'x'.repeat(256 * 1024)]] }), 413);
      const deleted = await openPage(link, { method: 'DELETE' });
      expectPage(deleted, 405);
      expect(deleted.headers.get('allow')).toBe('GET, HEAD, POST');
    });

    test('the JSON API rejects a form with 415', async () => {
      const { input, decisions } = await startNotifiedApproval();
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      const path = `/v1/approvals/${input.approvalId}/decision`;

      const response = await api.request('POST', path, { text: `approver=${lead.id}&decision=approve`, headers: form });

      expect(response).toMatchObject({ status: 415, body: { type: '/problems/unsupported-media-type' } });
      expect(await decisions()).toEqual([]);
    });
  });

  describe('the link of a decided approval', () => {
    test('the link of a decided approval shows the decision, its time and its comment, and addresses the decider as "you"', async () => {
      const { url, decide } = await startNotifiedApproval();
      await decide({ decision: 'reject', comment: 'Too expensive' });

      const theirs = await openPage(await url({ approver: manager.id }));
      const mine = await openPage(await url());

      expectPage(theirs, 200);
      expect(theirs.text).toContain('This is already decided');
      expect(theirs.text).toMatch(new RegExp(`Rejected by ${lead.id} On \\d{4}-.* UTC Too expensive`));
      expectPage(mine, 200);
      expect(mine.text).toContain('Rejected by you');
    });

    test('accepts a repeated decision of the same approver and records the decision once', async () => {
      const { url, decide, decisions } = await startNotifiedApproval();
      await decide({ decision: 'approve' });

      expect((await openPage(await url(), { form: [['decision', 'approve']] })).status).toBe(303);
      expect((await openPage(await url({ expiresAt: pastTime() }), { form: [['decision', 'approve']] })).status).toBe(
        303,
      );
      expect(await decisions()).toHaveLength(1);
    });

    test.each<[string, { approver?: string; expiresAt?: Date }, string[][], string]>([
      ['another decision of the same approver', {}, [['decision', 'reject']], 'You have already decided'],
      ['the same decision of another approver', { approver: manager.id }, [['decision', 'approve']], 'came too late'],
      ['no decision', {}, [], 'You have already decided'],
      [
        'a decision through an expired link',
        { expiresAt: pastTime() },
        [['decision', 'reject']],
        'You have already decided',
      ],
    ])(
      'after a decision, rejects %s with 409 and shows the outcome',
      async (_description, link, form, expectedText) => {
        const { url, decide, decisions } = await startNotifiedApproval();
        await decide({ decision: 'approve' });

        const page = await openPage(await url(link), { form });

        expectPage(page, 409);
        expect(/<div[^>]*role="alert">.*?<\/div>/s.exec(page.html)?.[0]).toContain(expectedText);
        expect(page.text).toMatch(/Approved by (you|lead-)/);
        expect(await decisions()).toMatchObject([{ decision: 'approve' }]);
      },
    );

    test('an expired link of a decided approval shows the outcome', async () => {
      const { url, decide } = await startNotifiedApproval();
      await decide({ decision: 'approve' });

      const page = await openPage(await url({ expiresAt: pastTime() }));

      expectPage(page, 200);
      expect(page.text).toContain('Approved by you');
    });
  });

  test('the link of a withdrawn approval shows the withdrawal, and rejects a decision with 409', async () => {
    const { url, handle } = await startNotifiedApproval();
    await handle.executeUpdate(withdrawUpdate, { args: [{ reason: 'We keep <the old one>' }] });

    const page = await openPage(await url());
    expectPage(page, 200);
    expect(page.text).toMatch(/Withdrawn On \d{4}-.* UTC We keep &lt;the old one&gt;/);
    expectPage(await openPage(await url(), { form: [['decision', 'approve']] }), 409);
  });

  test.each([
    ['timed_out', 'Closed, because nobody decided in time'],
    ['approved', 'Approved, because nobody decided in time'],
    ['rejected', 'Rejected, because nobody decided in time'],
  ] as const)('shows an approval as "%s" when nobody decided in time', async (onTimeout, expectedText) => {
    const { url, handle } = await startNotifiedApproval({
      stages: [{ approvers: [lead], timeoutSeconds: 1 }],
      onTimeout,
    });
    await handle.result();

    const page = await openPage(await url({ expiresAt: pastTime() }));

    expectPage(page, 200);
    expect(page.text).toMatch(new RegExp(`This is closed .*${expectedText} On \\d{4}-`));
  });

  test('returns 410 for the link of an earlier stage, and accepts the link of the current stage', async () => {
    const { url, handle, decisions } = await startNotifiedApproval({
      // `lead` approves in both stages, so only the link distinguishes the stages.
      stages: [{ approvers: [lead], timeoutSeconds: 1 }, makeStage(lead, manager)],
    });
    await waitForApproval(handle, (view) => view.stage === 2 && isEveryoneNotified(view), 'the second stage');

    for (const expiresAt of [pastTime(), new Date(Date.now() + HOUR_MS)]) {
      for (const form of [undefined, [['decision', 'approve']]]) {
        const page = await openPage(await url({ expiresAt }), form && { form });
        expectPage(page, 410);
        expect(page.text).toContain('This approval was escalated');
        expect(page.text).toContain(`so it went to ${lead.id} and ${manager.id}.`);
        expect(page.html).not.toContain('<form');
      }
    }
    expect(await decisions()).toEqual([]);
    const sent = await openPage(await url({ stage: 2 }), { form: [['decision', 'approve']] });
    expect(sent.status).toBe(303);
  });

  test('returns 410 for an expired link of an open approval, and records no decision', async () => {
    const { url, decisions } = await startNotifiedApproval();
    const link = await url({ expiresAt: pastTime() });

    for (const page of [await openPage(link), await openPage(link, { form: [['decision', 'approve']] })]) {
      expectPage(page, 410);
      expect(page.text).toContain('This link has expired');
      expect(page.html).not.toContain('<form');
    }
    expect(await decisions()).toEqual([]);
  });

  test('shows requesters their own request without a form, and denies their decision with 403', async () => {
    const { url, decisions } = await startNotifiedApproval({ requestedBy: lead.id });

    const page = await openPage(await url());
    expectPage(page, 200);
    expect(page.text).toContain('someone else must decide');
    expect(page.html).not.toContain('<form');
    expectPage(await openPage(await url(), { form: [['decision', 'approve']] }), 403);
    expect(await decisions()).toEqual([]);
  });

  describe('an invalid link token', () => {
    const claims = { approval: randomUUID(), run: randomUUID(), stage: 1 };
    const key = new TextEncoder().encode(LINK_SECRETS[0]);
    const signToken = (audience: string, secret = key) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256' })
        .setAudience(audience)
        .setSubject('lead')
        .setExpirationTime('1h')
        .sign(secret);

    test.each<[string, () => Promise<string> | string, number]>([
      ['garbage', () => 'garbage', 404],
      ['signed for another purpose', () => signToken('session'), 404],
      ['signed with another secret', () => signToken('approval-link', new Uint8Array(32)), 404],
      ['cut off', async () => (await signToken('approval-link')).slice(0, -8), 404],
      [
        'not signed at all',
        () => new UnsecuredJWT(claims).setAudience('approval-link').setSubject('lead').setExpirationTime('1h').encode(),
        404,
      ],
      ['followed by a path', async () => `${await signToken('approval-link')}/more`, 404],
      ['empty', () => '', 404],
      ['longer than the maximum length', () => 'x'.repeat(1_001), 414],
      ['not URL-encoded', () => '%zz', 400],
    ])('says that an approval link does not work when its token is %s', async (_description, make, status) => {
      const link = `${api.url}/approvals/${await make()}`;

      for (const page of [await openPage(link), await openPage(link, { form: [['decision', 'approve']] })]) {
        expectPage(page, status);
        expect(page.text).toContain('This link does not work');
      }
    });

    test('returns 404 for a valid link to an unknown approval', async () => {
      const link = `${api.url}/approvals/${await signToken('approval-link')}`;

      for (const page of [await openPage(link), await openPage(link, { form: [['decision', 'approve']] })]) {
        expectPage(page, 404);
        expect(page.text).toContain('This approval no longer exists');
      }
    });
  });

  test('an old link still shows the outcome after its approval id is started again', async () => {
    const { url, input, handle, decide } = await startNotifiedApproval({ title: 'The old one' });
    await decide({ decision: 'reject' });
    await handle.result();
    const other = await startApproval(shop.client, { ...input, title: 'The new one' });
    await expect(other.result()).rejects.toMatchObject({ cause: { type: 'ApprovalIdTaken' } });
    const same = await startApproval(shop.client, input);
    expect(await same.result()).toMatchObject({ status: 'rejected', decision: { approver: lead.id } });

    const page = await openPage(await url());
    expect(page.text).toContain('The old one');
    expect(page.text).toContain('Rejected by you');
    expectPage(await openPage(await url(), { form: [['decision', 'approve']] }), 409);
  });

  test('without a worker, the approval page returns 503, asks the approver to try again and keeps the comment', async () => {
    const { client } = await server.openNamespace(`quiet-${randomUUID()}`);
    const quiet = await startApi({ client, store: shop.store });
    const input = makeApproval({ stages: [makeStage(lead)] });
    const { firstExecutionRunId: firstRunId } = await startApproval(client, input);
    const token = await approvalLinks.sign(
      { approvalId: input.approvalId, firstRunId, stage: 1, approver: lead.id },
      new Date(Date.now() + HOUR_MS),
    );
    const link = `${quiet.url}/approvals/${token}`;

    const [opened, sent] = await Promise.all([
      openPage(link),
      openPage(link, {
        form: [
          ['decision', 'approve'],
          ['comment', 'Go <ahead>'],
        ],
      }),
    ]).finally(quiet.close);

    for (const page of [opened, sent]) {
      expectPage(page, 503);
      expect(Number(page.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(page.text).toContain('Please try again in a moment');
      expect(page.html).not.toMatch(/approvals|queue|worker/);
    }
    expect(opened.html).not.toContain('<form');
    expect(sent.html).toMatch(/<textarea[^>]*>\nGo &lt;ahead&gt;<\/textarea/);
    expect(sent.html).toContain('value="approve"');
  });

  test('the approval page returns 503 when Temporal is unreachable', async () => {
    const nowhere = `127.0.0.1:${await freePort()}`;
    const client = createClient({ TEMPORAL_ADDRESS: nowhere, TEMPORAL_NAMESPACE: 'default' });
    const alone = await startApi({ client, store: shop.store });
    const { pathname } = new URL(await (await startNotifiedApproval()).url());

    const page = await openPage(alone.url + pathname).finally(alone.close);

    expectPage(page, 503);
    expect(page.html).not.toContain('127.0.0.1');
  });

  describe('logs of approval pages', () => {
    async function openPageAndReadLog(
      path: string,
      form?: string[][],
      client = shop.client,
    ): Promise<{ page: Page; log: string }> {
      let log = '';
      const app = await buildApp({
        client,
        store: shop.store,
        approvalLinks,
        outgoing: outgoingHttpClient,
        carrierWebhookSecrets: [],
        approvalWebhookSecrets: [],
        stripeWebhookSecrets: [],
        batchOperations: operations,
        batchUploadLimits: BATCH_UPLOAD_LIMITS,
        auth: 'open',
        cursors: createCursors(['x']),
        sessionSecrets: ['x'],
        links: {},
        protection: { corsOrigins: [], codecOrigins: [], hstsMaxAgeSeconds: 0, maxEventLoopDelayMs: 10_000 },
        logger: pino({ level: 'trace' }, { write: (line: string) => (log += line) }),
      });
      const base = await app.listen({ host: '127.0.0.1', port: 0 });
      const page = await openPage(base + path, form && { form }).finally(() => app.close());
      return { page, log };
    }

    test('logs no token of an approval link when the link is opened or the form is sent', async () => {
      const { url } = await startNotifiedApproval();
      const { pathname } = new URL(await url());
      const token = pathname.split('/')[2]!;

      const logs: string[] = [];
      for (const path of [
        pathname,
        `${pathname}?from=mail`,
        `${pathname}/`,
        `/${pathname}`,
        `${pathname}${'x'.repeat(900)}`,
      ]) {
        logs.push((await openPageAndReadLog(path)).log);
      }
      logs.push(
        (
          await openPageAndReadLog(pathname, [
            ['decision', 'approve'],
            ['comment', 'x'.repeat(2_000)],
          ])
        ).log,
      );
      logs.push((await openPageAndReadLog(pathname, [['decision', 'approve']])).log);

      for (const log of logs) {
        expect(log).toContain('/approvals/[token]"');
        for (const part of token.split('.')) expect(log).not.toContain(part);
      }
    });

    test('logs the path of a JSON API request without the query, because the query may contain a customer id', async () => {
      expect((await openPageAndReadLog('/v1/approvals/some-approval?x=1')).log).toContain(
        '"url":"/v1/approvals/some-approval"',
      );
    });

    test('on an unexpected error, the approval page returns 500 without details, and the log contains the details', async () => {
      const { url } = await startNotifiedApproval();
      const broken = new Proxy(shop.client, {
        get: (client, name) => {
          if (name === 'withDeadline') throw new Error('secret inner text');
          return Reflect.get(client, name) as unknown;
        },
      });

      const { page, log } = await openPageAndReadLog(new URL(await url()).pathname, undefined, broken);

      expectPage(page, 500);
      expect(page.html).not.toContain('secret inner text');
      expect(page.text).toContain(page.headers.get('x-request-id'));
      expect(log).toContain('secret inner text');
    });
  });
});
