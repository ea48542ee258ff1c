import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { withContract } from '../http/route-contract.js';
import { notFound } from '../problems/http-problem.js';
import { HTML_PAGE_HEADERS } from '../http/html-layout.js';
import { problemPage, problemListPage } from './pages.js';
import { PROBLEM_KINDS } from '../problems/problem-kinds.js';

const pageResponse = { 200: { content: { 'text/html': { schema: z.string().describe('A page') } } } };

/** The pages that the `type` of a problem links to. */
export async function problemRoutes(instance: FastifyInstance): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listProblems',
        summary: 'Every kind of error',
        tag: 'Operations',
        access: 'public',
      }),
      schema: { response: pageResponse },
    },
    async (_request, reply) => sendPage(reply, problemListPage()),
  );

  app.get(
    '/:kind',
    {
      ...withContract({ operationId: 'getProblem', summary: 'One kind of error', tag: 'Operations', access: 'public' }),
      schema: { params: z.strictObject({ kind: z.string().max(100) }), response: pageResponse },
    },
    async ({ params }, reply) => {
      const kind = PROBLEM_KINDS.find((kind) => kind === params.kind);
      if (!kind) throw notFound('there is no such kind of problem');
      return sendPage(reply, problemPage(kind));
    },
  );
}

function sendPage(reply: FastifyReply, content: string): FastifyReply {
  return reply.headers(HTML_PAGE_HEADERS).type('text/html; charset=utf-8').serializer(String).send(content);
}
