import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { toInputProblems } from '../../schemas/shared/input-problems.js';
import type { AppDependencies } from '../app.js';
import { ANONYMOUS } from '../http/caller.js';
import { isLocalHostHeader } from '../plugins/auth/index.js';
import { SESSION_SECONDS, type CodecSessions } from '../plugins/auth/sessions.js';
import { withContract } from '../http/route-contract.js';
import { forbidden, HttpProblem, invalidRequest } from '../problems/http-problem.js';
import { toProblem } from '../problems/error-mapping.js';
import { HTML_PAGE_HEADERS } from '../http/html-layout.js';
import { errorPage, signInNotNeededPage, signedInPage, signInPage } from './session-pages.js';
import { definitionOf } from '../problems/problem-kinds.js';

/** The URL contains no secret, and with `no-referrer` browsers would not send the origin of the form. */
const SESSION_PAGE_HEADERS = { ...HTML_PAGE_HEADERS, 'referrer-policy': 'same-origin' };

const sessionForm = z.object({
  key: z.string().max(8_192).optional().meta({ description: 'A key or token.' }),
  signOut: z.string().max(10).optional().meta({ description: 'Signs out, whatever it says.' }),
});

const pageResponses = (...statuses: number[]) => ({
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
    const { title } = definitionOf(problem.kind);
    return sendPage(reply, problem.status, errorPage({ title, requestId: request.id }));
  });

  app.get(
    '/session',
    {
      ...withContract({
        operationId: 'openCodecSessionPage',
        summary: 'The page on which an inspector signs in for the Web UI',
        tag: 'Payloads',
        access: 'page',
      }),
      schema: pageResponses(200, 400, 408, 429, 431, 500, 503),
    },
    async (request, reply) => {
      if (auth === 'open') return sendPage(reply, 200, signInNotNeededPage());
      const caller = await sessions.read(request);
      return sendPage(reply, 200, caller ? signedInPageFor(caller.id) : signInPage());
    },
  );

  app.post(
    '/session',
    {
      ...withContract({
        operationId: 'updateCodecSession',
        summary: 'The form of that page: signs in, or out',
        description: 'A key, or token, of somebody with the role `inspector` gets a cookie for `/codec` alone.',
        tag: 'Payloads',
        access: 'page',
        rawBodies: { 'application/x-www-form-urlencoded': sessionForm },
      }),
      schema: pageResponses(303, 400, 403, 408, 413, 415, 429, 431, 500, 503),
    },
    async (request, reply) => {
      assertFromOwnPage(request);
      const sent = sessionForm.safeParse(request.body ?? {});
      if (!sent.success) throw invalidRequest(toInputProblems(sent.error.issues));
      const { key, signOut } = sent.data;
      if (signOut !== undefined) return redirectToSession(reply, sessions.clear());
      const caller = await authenticate(key?.trim() ?? '', request);
      if (!caller?.roles.includes('inspector'))
        return sendPage(reply, 403, signInPage({ problem: signInProblem(caller?.id) }));
      request.log.info({ caller: caller.id }, 'signed in to the codec');
      return redirectToSession(reply, await sessions.create(caller, !isLocalHostHeader(request.headers.host ?? '')));
    },
  );

  /** The caller of a key or token; undefined when it is not accepted. */
  async function authenticate(key: string, { authenticate }: FastifyRequest) {
    if (auth === 'open') return ANONYMOUS;
    return await authenticate({ authorization: `Bearer ${key}` }).catch((error: unknown) => {
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

const signedInPageFor = (caller: string) => signedInPage({ caller, minutes: SESSION_SECONDS / 60 });

const signInProblem = (caller: string | undefined) =>
  caller === undefined ? 'This key is none that is accepted here.' : `${caller} does not have the role inspector.`;

function sendPage(reply: FastifyReply, status: number, html: string): FastifyReply {
  return reply
    .code(status)
    .headers(SESSION_PAGE_HEADERS)
    .type('text/html; charset=utf-8')
    .serializer(String)
    .send(html);
}

/** Post/Redirect/Get, and sets the cookie. */
function redirectToSession(reply: FastifyReply, cookie: string): FastifyReply {
  return reply.headers({ ...SESSION_PAGE_HEADERS, 'set-cookie': cookie }).redirect('./session', 303);
}
