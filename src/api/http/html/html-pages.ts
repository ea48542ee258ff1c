import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { toProblem } from '../../problems/error-mapping.js';
import { type HttpProblem } from '../../problems/http-problem.js';
import { HTML_PAGE_HEADERS } from './html-layout.js';

interface PageOptions {
  /** 200 by default. */
  status?: number;
  headers?: Record<string, string>;
}

const HTML_PAGE = { content: { 'text/html': { schema: z.string().describe('An HTML page.') } } };

/** The response schemas of a route that responds with HTML pages. */
export const htmlPageResponses = <Status extends number>(...statuses: Status[]) =>
  Object.fromEntries(statuses.map((status) => [status, HTML_PAGE])) as Record<Status, typeof HTML_PAGE>;

export function sendHtmlPage(
  reply: FastifyReply,
  page: string,
  { status = 200, headers = HTML_PAGE_HEADERS }: PageOptions = {},
): FastifyReply {
  return reply.code(status).headers(headers).type('text/html; charset=utf-8').serializer(String).send(page);
}

/**
 * Creates an error handler that responds with an HTML page. Logs every 5xx. Unexpected errors become a 500 without
 * details.
 */
export function createPageErrorHandler(
  renderErrorPage: (problem: HttpProblem, request: FastifyRequest) => string,
  headers: Record<string, string> = HTML_PAGE_HEADERS,
) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const problem = toProblem(error);
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed');
    reply.headers({ 'x-request-id': request.id, ...problem.headers });
    return sendHtmlPage(reply, renderErrorPage(problem, request), { status: problem.status, headers });
  };
}
