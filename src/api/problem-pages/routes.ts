import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { notFound } from '../problems/http-problem.js';
import { htmlPageResponses, sendHtmlPage } from '../http/html/html-pages.js';
import { PROBLEM_KINDS } from '../problems/problem-kinds.js';
import { withContract } from '../http/route-contract.js';
import { problemListPage, problemPage } from './pages.js';

/** Routes of the problem pages. The `type` of a problem is the URL of its page. */
export async function problemRoutes(instance: FastifyInstance): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listProblems',
        summary: 'List all kinds of problems',
        tag: 'Operations',
        access: 'public',
      }),
      schema: { response: htmlPageResponses(200) },
    },
    async (_request, reply) => sendHtmlPage(reply, problemListPage()),
  );

  app.get(
    '/:kind',
    {
      ...withContract({
        operationId: 'getProblem',
        summary: 'Describe one kind of problem',
        tag: 'Operations',
        access: 'public',
      }),
      schema: { params: z.strictObject({ kind: z.string().max(100) }), response: htmlPageResponses(200) },
    },
    async ({ params }, reply) => {
      const kind = PROBLEM_KINDS.find((kind) => kind === params.kind);
      if (!kind) throw notFound(`there is no kind of problem ${params.kind}`);
      return sendHtmlPage(reply, problemPage(kind));
    },
  );
}
