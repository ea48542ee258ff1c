import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ApprovalLink } from '../../approval-links/links.js';
import type { ApprovalView } from '../../schemas/approval.js';
import { isSameDecision } from '../../workflows/approval/decisions.js';
import type { AppDependencies, Backends } from '../dependencies.js';
import { HttpProblem } from '../problems/http-problem.js';
import { HTML_PAGE_HEADERS } from '../http/html/html-layout.js';
import { createPageErrorHandler, htmlPageResponses, sendHtmlPage } from '../http/html/html-pages.js';
import { withContract } from '../http/route-contract.js';
import { decideApproval } from './commands.js';
import { decisionForm, decisionFormProblem, rawCommentOf, type DecisionDraftProblem } from './decision-form.js';
import { unavailablePage, messagePage, outcomePage, ownRequestPage, decisionPage, stagePassedPage } from './pages.js';
import { getApproval } from './read.js';

interface TokenRoute {
  Params: { token: string };
}

const params = z.object({ token: z.string().describe('The last part of the link in the mail.') });

const openPageRoute = {
  ...withContract({
    operationId: 'openApprovalPage',
    summary: 'Open the approval page of a link',
    description:
      'The mail to an approver contains the link. Opening the page decides nothing. Every response is an HTML page, including errors.',
    tag: 'Approvals',
    access: 'link',
  }),
  schema: { params, response: htmlPageResponses(200, 400, 404, 408, 410, 414, 429, 431, 500, 503) },
};

const submitFormRoute = {
  ...withContract({
    operationId: 'submitApprovalForm',
    summary: 'Submit a decision on the approval page',
    tag: 'Approvals',
    access: 'link',
    rawBodies: { 'application/x-www-form-urlencoded': decisionForm },
  }),
  schema: {
    params,
    response: htmlPageResponses(303, 400, 403, 404, 408, 409, 410, 413, 414, 415, 429, 431, 500, 503),
  },
};

/**
 * Serves the approval page that the link in a mail opens. The page shows the request and a form to decide. Opening the
 * page changes nothing, because mail scanners and previews also open links. Every response is an HTML page, including
 * errors.
 */
export async function approvalPageRoutes(
  app: FastifyInstance,
  deps: Backends & Pick<AppDependencies, 'approvalLinks'>,
): Promise<void> {
  // These routes accept only forms. No other approval route accepts forms, so the form parser is registered only here.
  app.removeAllContentTypeParsers();
  await app.register(formbody);
  app.setErrorHandler(sendErrorPage);
  app.setNotFoundHandler((request, reply) => sendErrorPage(unknownLinkProblem(), request, reply));

  app.get<TokenRoute>('/:token', openPageRoute, async ({ params }, reply) => {
    const { link, isExpired } = await readLink(params.token);
    const approval = await getApproval(deps, link.approvalId, { firstRunId: link.firstRunId });
    const context = { approval, approver: link.approver, now: new Date() };
    const state = linkStateOf(approval, link, isExpired);
    if (state === 'open') return sendHtmlPage(reply, decisionPage(context));
    if (state === 'ownRequest') return sendHtmlPage(reply, ownRequestPage(context, { hasTriedToDecide: false }));
    if (state === 'closed') return sendHtmlPage(reply, outcomePage(context, { hasDecidedTooLate: false }));
    return sendExpiredPage(reply, state, approval);
  });

  app.post<TokenRoute>('/:token', submitFormRoute, async (request, reply) => {
    const { params, body } = request;
    const { link, isExpired } = await readLink(params.token);
    const { approvalId, firstRunId, approver, stage } = link;
    request.caller = { id: approver, roles: [] };
    request.loggedFields = { params: { approvalId } };
    const form = decisionForm.safeParse(body ?? {});
    if (form.success && !isExpired) {
      const { decision, comment } = form.data;
      request.loggedFields.action = decision;
      const sent = { approver, decision, ...(comment && { comment }), via: 'link' as const, stage };
      try {
        await decideApproval(deps, approvalId, sent, { firstRunId });
        return redirectToPage(reply, params.token);
      } catch (error) {
        // The approval is read again below, and its page shows why the decision does not count.
        if (!(error instanceof HttpProblem && (error.status === 403 || error.status === 409))) throw error;
      }
    }
    const approval = await getApproval(deps, approvalId, { firstRunId });
    const context = { approval, approver, now: new Date() };
    const state = linkStateOf(approval, link, isExpired);
    if (state === 'closed') {
      const isRepeated = form.success && isSameDecision(approval.decision, { approver, ...form.data });
      return isRepeated
        ? redirectToPage(reply, params.token)
        : sendHtmlPage(reply, outcomePage(context, { hasDecidedTooLate: true }), { status: 409 });
    }
    if (state === 'ownRequest')
      return sendHtmlPage(reply, ownRequestPage(context, { hasTriedToDecide: true }), { status: 403 });
    if (state !== 'open') return sendExpiredPage(reply, state, approval);
    const problems = form.success ? [DECIDE_AGAIN] : form.error.issues.map((issue) => decisionFormProblem(issue, body));
    const page = decisionPage(context, { comment: rawCommentOf(body), problems });
    return sendHtmlPage(reply, page, { status: form.success ? 409 : 400 });
  });

  /** @throws 404. */
  async function readLink(token: string) {
    const verified = await deps.approvalLinks.verify(token);
    if (!verified) throw unknownLinkProblem();
    return verified;
  }
}

const unknownLinkProblem = () => new HttpProblem('unknown-link');

type LinkState = 'open' | 'ownRequest' | 'closed' | 'stagePassed' | 'expired';

/**
 * Selects the page of a link. `open` shows the form to decide. All other states show why this approver cannot decide.
 */
function linkStateOf(approval: ApprovalView, link: ApprovalLink, isExpired: boolean): LinkState {
  if (approval.status !== 'pending') return 'closed';
  if (approval.stage !== link.stage) return 'stagePassed';
  if (isExpired) return 'expired';
  return approval.requestedBy === link.approver ? 'ownRequest' : 'open';
}

function sendExpiredPage(reply: FastifyReply, state: 'stagePassed' | 'expired', approval: ApprovalView): FastifyReply {
  const page =
    state === 'stagePassed'
      ? stagePassedPage(approval)
      : messagePage('This link has expired', [`The time to decide “${approval.title}” has ended.`]);
  return sendHtmlPage(reply, page, { status: 410 });
}

function errorPage({ status, kind }: HttpProblem, { id, method, body }: FastifyRequest): string {
  if (status === 503) return unavailablePage(method === 'POST' ? { comment: rawCommentOf(body) } : undefined);
  if (status >= 500) {
    return messagePage('Something went wrong on our side', [
      'Please try again later.',
      `If the problem persists, contact us with this request id: ${id}`,
    ]);
  }
  if (kind === 'not-found')
    return messagePage('This approval no longer exists', ['There is nothing left for you to do.']);
  if (status === 413) return messagePage('Your comment is too long', ['Please go back and shorten it.']);
  if (status === 405 || status === 415) return messagePage('This page does not support that request', [OPEN_AGAIN]);
  return messagePage('This link does not work', ['It may be incomplete.', OPEN_AGAIN]);
}

const OPEN_AGAIN = 'Please open the link in the mail again.';

/** Sends an error as an HTML page. Logs every 5xx. An unexpected error becomes a 500 without details. */
export const sendErrorPage = createPageErrorHandler(errorPage);

/**
 * Post/Redirect/Get: a reload shows the outcome and does not send the form again. The target is relative, because a
 * proxy may add a path prefix.
 */
function redirectToPage(reply: FastifyReply, token: string): FastifyReply {
  return reply.headers(HTML_PAGE_HEADERS).redirect(`./${token}`, 303);
}

const DECIDE_AGAIN: DecisionDraftProblem = {
  field: 'decision',
  detail: 'Your decision was not recorded. Please decide again.',
};
