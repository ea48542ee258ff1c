import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ApprovalLink } from '../../approval-links/links.js';
import { decisionRequest, MAX_COMMENT_LENGTH, verdict, type ApprovalView } from '../../schemas/approval.js';
import { isSameDecision } from '../../workflows/approval/contract.js';
import type { AppDependencies } from '../app.js';
import { decideApproval, getApproval } from './service.js';
import { withContract } from '../http/route-contract.js';
import { HttpProblem } from '../problems/http-problem.js';
import { toProblem } from '../problems/error-mapping.js';
import {
  unavailablePage,
  messagePage,
  outcomePage,
  ownRequestPage,
  decisionPage,
  stagePassedPage,
  type DecisionDraftProblem,
} from './pages.js';
import { HTML_PAGE_HEADERS } from '../http/html-layout.js';

interface TokenRoute {
  Params: { token: string };
}

const decisionForm = z.object({
  decision: verdict,
  comment: z.preprocess(
    (value) => (typeof value === 'string' ? normalizeComment(value) : value),
    decisionRequest.shape.comment,
  ),
});

const pageResponses = (...statuses: number[]) => ({
  params: z.object({ token: z.string().describe('What the mail’s link ends with.') }),
  response: Object.fromEntries(
    statuses.map((status) => [status, { content: { 'text/html': { schema: z.string().describe('A page') } } }]),
  ),
});

const openPageRoute = {
  ...withContract({
    operationId: 'openApprovalPage',
    summary: 'The page that a mail’s link opens',
    description: 'Opening it decides nothing. Every answer is a page, errors too.',
    tag: 'Approvals',
    access: 'link',
  }),
  schema: pageResponses(200, 400, 404, 408, 410, 414, 429, 431, 500, 503),
};

const submitFormRoute = {
  ...withContract({
    operationId: 'submitApprovalForm',
    summary: 'The form of that page',
    tag: 'Approvals',
    access: 'link',
    rawBodies: { 'application/x-www-form-urlencoded': decisionForm },
  }),
  schema: pageResponses(303, 400, 403, 404, 408, 409, 410, 413, 414, 415, 429, 431, 500, 503),
};

/**
 * The page behind the link in a mail: the question, and a form to decide. Only sending the form decides. Opening the
 * link (a mail scanner, a preview) changes nothing. Every response here is a page, errors too.
 */
export async function approvalPageRoutes(app: FastifyInstance, deps: AppDependencies): Promise<void> {
  // These routes accept only forms, and the JSON API accepts none, so each has its own content type parser.
  app.removeAllContentTypeParsers();
  await app.register(formbody);
  app.setErrorHandler(sendErrorPage);
  app.setNotFoundHandler((request, reply) => sendErrorPage(unknownLink(), request, reply));

  app.get<TokenRoute>('/:token', openPageRoute, async ({ params }, reply) => {
    const { link, isExpired } = await readLink(params.token);
    const approval = await getApproval(deps, link.approvalId, { firstRunId: link.firstRunId });
    const seen = { approval, approver: link.approver, now: new Date() };
    const standing = linkStateOf(approval, link, isExpired);
    if (standing === 'open') return sendPage(reply, 200, decisionPage(seen));
    if (standing === 'own') return sendPage(reply, 200, ownRequestPage(seen, { hasTriedToDecide: false }));
    if (standing === 'closed') return sendPage(reply, 200, outcomePage(seen, { hasDecidedTooLate: false }));
    return sendExpiredPage(reply, standing, approval);
  });

  app.post<TokenRoute>('/:token', submitFormRoute, async ({ params, body }, reply) => {
    const { link, isExpired } = await readLink(params.token);
    const { approvalId, firstRunId, approver, stage } = link;
    const form = decisionForm.safeParse(body ?? {});
    if (form.success && !isExpired) {
      const { decision, comment } = form.data;
      const made = { approver, decision, ...(comment && { comment }), via: 'link' as const, stage };
      try {
        await decideApproval(deps, approvalId, made, { firstRunId });
        return seeOther(reply, params.token);
      } catch (error) {
        // The approval, which is read below, shows why the decision does not count.
        if (!(error instanceof HttpProblem && (error.status === 403 || error.status === 409))) throw error;
      }
    }
    const approval = await getApproval(deps, approvalId, { firstRunId });
    const seen = { approval, approver, now: new Date() };
    const standing = linkStateOf(approval, link, isExpired);
    if (standing === 'closed') {
      const isRepeated = form.success && isSameDecision(approval.decision, { approver, ...form.data });
      return isRepeated
        ? seeOther(reply, params.token)
        : sendPage(reply, 409, outcomePage(seen, { hasDecidedTooLate: true }));
    }
    if (standing === 'own') return sendPage(reply, 403, ownRequestPage(seen, { hasTriedToDecide: true }));
    if (standing !== 'open') return sendExpiredPage(reply, standing, approval);
    const problems = form.success ? [TRY_AGAIN] : form.error.issues.map((issue) => formProblem(issue, body));
    return sendPage(reply, form.success ? 409 : 400, decisionPage(seen, { comment: rawCommentOf(body), problems }));
  });

  /** @throws 404. */
  async function readLink(token: string) {
    const read = await deps.approvalLinks.verify(token);
    if (!read) throw unknownLink();
    return read;
  }
}

/** Sends an error as a page. Logs every 5xx; an unexpected error becomes a 500 without details. */
export function sendErrorPage(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error);
  const { status, headers } = problem;
  if (status >= 500) request.log.error({ err: error }, 'request failed');
  reply.headers({ 'x-request-id': request.id, ...headers });
  return sendPage(reply, status, errorPage(problem, request));
}

const unknownLink = () => new HttpProblem('unknown-link');

type LinkState = 'open' | 'own' | 'closed' | 'passed' | 'expired';

/** What the link still permits. */
function linkStateOf(approval: ApprovalView, link: ApprovalLink, expired: boolean): LinkState {
  if (approval.status !== 'pending') return 'closed';
  if (approval.stage !== link.stage) return 'passed';
  if (expired) return 'expired';
  return approval.requestedBy === link.approver ? 'own' : 'open';
}

function sendExpiredPage(reply: FastifyReply, standing: 'passed' | 'expired', approval: ApprovalView): FastifyReply {
  const expired = () => messagePage('This link has expired', [`The time to decide about “${approval.title}” is over.`]);
  return sendPage(reply, 410, standing === 'passed' ? stagePassedPage(approval) : expired());
}

function errorPage({ status, kind }: HttpProblem, { id, method, body }: FastifyRequest): string {
  if (status === 503) return unavailablePage(method === 'POST' ? { comment: rawCommentOf(body) } : undefined);
  if (status >= 500) {
    return messagePage('Something went wrong on our side', [
      'Please try again later.',
      `If it stays like this, tell us this number: ${id}`,
    ]);
  }
  if (kind === 'not-found') return messagePage('This approval is no longer there', ['Nothing is left for you to do.']);
  if (status === 413) return messagePage('This is too long', ['Please go back and shorten your comment.']);
  if (status === 405 || status === 415) return messagePage('This page cannot do that', [OPEN_AGAIN]);
  return messagePage('This link does not work', ['It may have been cut off.', OPEN_AGAIN]);
}

const OPEN_AGAIN = 'Please open the link in the mail again.';

function sendPage(reply: FastifyReply, status: number, html: string): FastifyReply {
  return reply.code(status).headers(HTML_PAGE_HEADERS).type('text/html; charset=utf-8').serializer(String).send(html);
}

/**
 * Post/Redirect/Get: a reload shows the outcome and does not send the form again. The URL is relative because a proxy
 * may add a path prefix.
 */
function seeOther(reply: FastifyReply, token: string): FastifyReply {
  return reply.headers(HTML_PAGE_HEADERS).redirect(`./${token}`, 303);
}

const TRY_AGAIN: DecisionDraftProblem = {
  field: 'decision',
  detail: 'Something came in between. Please decide again.',
};

function formProblem({ path }: z.core.$ZodIssue, body: unknown): DecisionDraftProblem {
  if (path[0] !== 'comment') return { field: 'decision', detail: 'Choose “Approve” or “Reject”.' };
  const { length } = normalizeComment(rawCommentOf(body)) ?? '';
  const detail =
    length > MAX_COMMENT_LENGTH
      ? `The comment has ${length.toLocaleString('en')} characters. At most ${MAX_COMMENT_LENGTH.toLocaleString('en')} are possible.`
      : 'The comment has characters that cannot be kept.';
  return { field: 'comment', detail };
}

/** The comment of a form as typed, valid or not. */
function rawCommentOf(body: unknown): string {
  const { comment } = (body ?? {}) as { comment?: unknown };
  return typeof comment === 'string' ? comment : '';
}

/**
 * Normalizes line breaks, because browsers send a line break as two characters but count one. An empty comment becomes
 * undefined.
 */
function normalizeComment(comment: string): string | undefined {
  return comment.replaceAll('\r\n', '\n').trim() || undefined;
}
