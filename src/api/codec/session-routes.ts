import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { problemsOf } from '../../schemas/problems-of.js';
import type { AppDependencies } from '../app.js';
import { ANYBODY } from '../plugins/auth/caller.js';
import { isLocalHost } from '../plugins/auth/index.js';
import { SESSION_SECONDS, type CodecSessions } from '../plugins/auth/sessions.js';
import { contract } from '../plugins/contract.js';
import { forbidden, HttpProblem, invalidRequest, toProblem } from '../plugins/errors.js';
import { PAGE_HEADERS } from '../plugins/page-layout.js';
import { failedPage, openPage, signedInPage, signInPage } from './page.js';
import { factsOf } from '../plugins/problems.js';

/** The URL contains no secret, and with `no-referrer` browsers would not send the origin of the form. */
const HEADERS = { ...PAGE_HEADERS, 'referrer-policy': 'same-origin' };

const form = z.object({
  key: z.string().max(8_192).optional().meta({ description: 'A key or token.' }),
  leave: z.string().max(10).optional().meta({ description: 'Signs out, whatever it says.' }),
});

const answers = (...statuses: number[]) => ({
  response: Object.fromEntries(
    statuses.map((status) => [status, { content: { 'text/html': { schema: z.string().describe('A page') } } }]),
  ),
});

/**
 * The page on which an inspector signs in once, with a key or token, because the Web UI can only send cookies to a
 * codec. The session is valid for the codec only.
 */
export async function codecSessionRoutes(
  app: FastifyInstance,
  { auth, sessions }: Pick<AppDependencies, 'auth'> & { sessions: CodecSessions },
): Promise<void> {
  app.removeAllContentTypeParsers();
  await app.register(formbody);
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed');
    reply.headers({ 'x-request-id': request.id, ...problem.headers });
    const { title } = factsOf(problem.kind);
    return page(reply, problem.status, failedPage({ title, requestId: request.id }));
  });

  app.get(
    '/session',
    {
      ...contract({
        operationId: 'openCodecSession',
        summary: 'The page on which an inspector signs in for the Web UI',
        tag: 'Payloads',
        access: 'page',
      }),
      schema: answers(200, 400, 408, 429, 431, 500, 503),
    },
    async (request, reply) => {
      if (auth === 'open') return page(reply, 200, openPage());
      const caller = await sessions.read(request);
      return page(reply, 200, caller ? signedIn(caller.id) : signInPage());
    },
  );

  app.post(
    '/session',
    {
      ...contract({
        operationId: 'changeCodecSession',
        summary: 'The form of that page: signs in, or out',
        description: 'A key, or token, of somebody with the role `inspector` gets a cookie for `/codec` alone.',
        tag: 'Payloads',
        access: 'page',
        bodies: { 'application/x-www-form-urlencoded': form },
      }),
      schema: answers(303, 400, 403, 408, 413, 415, 429, 431, 500, 503),
    },
    async (request, reply) => {
      assertFromOwnPage(request);
      const sent = form.safeParse(request.body ?? {});
      if (!sent.success) throw invalidRequest(problemsOf(sent.error.issues));
      const { key, leave } = sent.data;
      if (leave !== undefined) return again(reply, sessions.end());
      const caller = await callerWith(key?.trim() ?? '', request);
      if (!caller?.roles.includes('inspector'))
        return page(reply, 403, signInPage({ problem: problemWith(caller?.id) }));
      request.log.info({ caller: caller.id }, 'signed in to the codec');
      return again(reply, await sessions.begin(caller, !isLocalHost(request.headers.host ?? '')));
    },
  );

  /** The caller of a key or token; undefined when it is not accepted. */
  async function callerWith(key: string, { identify }: FastifyRequest) {
    if (auth === 'open') return ANYBODY;
    return await identify({ authorization: `Bearer ${key}` }).catch((error: unknown) => {
      if (error instanceof HttpProblem && error.status === 401) return undefined;
      throw error;
    });
  }
}

/**
 * Checks that a form comes from our own page. Browsers send `Sec-Fetch-Site`, but not over plain HTTP to another
 * machine. Without it, the origin is compared with the host.
 *
 * @throws 403
 */
function assertFromOwnPage({ headers: { 'sec-fetch-site': site, origin = '', host } }: FastifyRequest): void {
  const isOurs = site !== undefined ? site === 'same-origin' : URL.canParse(origin) && new URL(origin).host === host;
  if (!isOurs) throw forbidden('the form is for our own page');
}

const signedIn = (caller: string) => signedInPage({ caller, minutes: SESSION_SECONDS / 60 });

const problemWith = (caller: string | undefined) =>
  caller === undefined ? 'This key is none that is accepted here.' : `${caller} does not have the role inspector.`;

function page(reply: FastifyReply, status: number, html: string): FastifyReply {
  return reply.code(status).headers(HEADERS).type('text/html; charset=utf-8').serializer(String).send(html);
}

/** Post/Redirect/Get, and sets the cookie. */
function again(reply: FastifyReply, cookie: string): FastifyReply {
  return reply.headers({ ...HEADERS, 'set-cookie': cookie }).redirect('./session', 303);
}
