import type { FastifyReply, FastifyRequest } from 'fastify';
import html from 'html-template-tag';
import { VISITOR, type Caller } from '../http/caller.js';
import { createPageErrorHandler } from '../http/html/html-pages.js';
import { toProblem } from '../problems/error-mapping.js';
import { notFound } from '../problems/http-problem.js';
import { definitionOf } from '../problems/problem-kinds.js';
import { noticeHtml, urlHtml } from './components.js';
import { CONSOLE_PATH } from './contract.js';
import { CONSOLE_HEADERS, renderConsolePage } from './layout.js';
import { readNextPath, signInUrl, startPathOf } from './sign-in/paths.js';

/** Sends an error as a page. Callers without credentials are sent to the sign-in page, and return after it. */
export function sendErrorPage(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (toProblem(error).status !== 401) return sendProblemPage(error, request, reply);
  return reply.redirect(signInUrl(request.method === 'GET' ? request.url : refererOf(request)), 303);
}

const sendProblemPage = createPageErrorHandler(({ kind, message }, request) => {
  const { title } = definitionOf(kind);
  const content = html`<h1>${title}</h1>
    $${noticeHtml('bad', html`<p>${message}</p>`, { alert: true })}
    <p><a href="$${urlHtml(CONSOLE_PATH + backPathOf(request))}">Back</a></p>
    <p class="quiet">${request.url} · request id ${request.id}</p>`;
  return renderConsolePage({ title, content }, callerOf(request));
}, CONSOLE_HEADERS);

export const sendNotFoundPage = (request: FastifyRequest, reply: FastifyReply): FastifyReply =>
  sendErrorPage(notFound('the console has no page with this address'), request, reply);

/** An overloaded server rejects a request before it knows the caller. */
const callerOf = (request: FastifyRequest): Caller => request.caller ?? VISITOR;

/** The path of the page that the caller comes from, relative to the console. A failed page does not link to itself. */
function backPathOf(request: FastifyRequest): string {
  const referer = refererOf(request);
  const path = referer === request.url ? undefined : readNextPath({ next: referer });
  return path ?? startPathOf(callerOf(request));
}

/** The path and the query string of the page that sent the request; undefined for a page of another host. */
function refererOf({ headers: { referer = '' }, host }: FastifyRequest): string | undefined {
  if (!URL.canParse(referer)) return undefined;
  const url = new URL(referer);
  return url.host === host ? url.pathname + url.search : undefined;
}
