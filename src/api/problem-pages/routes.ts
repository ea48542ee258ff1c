import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { contract } from '../plugins/contract.js';
import { notFound } from '../plugins/errors.js';
import { PAGE_HEADERS } from '../plugins/page-layout.js';
import { problemPage, problemsPage } from './pages.js';
import { PROBLEM_KINDS } from '../plugins/problems.js';

const html = { 200: { content: { 'text/html': { schema: z.string().describe('A page') } } } };

/** The pages that the `type` of a problem links to. */
export async function problemRoutes(instance: FastifyInstance): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...contract({ operationId: 'listProblems', summary: 'Every kind of error', tag: 'Operations', access: 'public' }),
      schema: { response: html },
    },
    async (_request, reply) => page(reply, problemsPage()),
  );

  app.get(
    '/:kind',
    {
      ...contract({ operationId: 'getProblem', summary: 'One kind of error', tag: 'Operations', access: 'public' }),
      schema: { params: z.strictObject({ kind: z.string().max(100) }), response: html },
    },
    async ({ params }, reply) => {
      const kind = PROBLEM_KINDS.find((kind) => kind === params.kind);
      if (!kind) throw notFound('there is no such kind of problem');
      return page(reply, problemPage(kind));
    },
  );
}

function page(reply: FastifyReply, content: string): FastifyReply {
  return reply.headers(PAGE_HEADERS).type('text/html; charset=utf-8').serializer(String).send(content);
}
