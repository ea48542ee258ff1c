import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { toInputProblems } from '../../schemas/shared/input-problems.js';
import type { AppDependencies } from '../dependencies.js';
import { ANONYMOUS } from '../http/caller.js';
import { isLocalHostHeader } from '../plugins/auth/index.js';
import { SESSION_SECONDS, type CodecSessions } from '../plugins/auth/sessions.js';
import { forbidden, HttpProblem, invalidRequest } from '../problems/http-problem.js';
import { HTML_PAGE_HEADERS } from '../http/html-layout.js';
import { createPageErrorHandler, htmlPageResponses, sendHtmlPage } from '../http/html-pages.js';
import { definitionOf } from '../problems/problem-kinds.js';
import { withContract } from '../http/route-contract.js';
import { errorPage, signedInPage, signInNotNeededPage, signInPage } from './session-pages.js';

/**
 * With `no-referrer`, browsers would send the form with `Origin: null`, but `assertFromOwnPage` checks the origin. The
 * URL contains no secret, so the referrer may contain it.
 */
const SESSION_PAGE_HEADERS = { ...HTML_PAGE_HEADERS, 'referrer-policy': 'same-origin' };

const sessionForm = z.object({
  key: z.string().max(8_192).optional().meta({ description: 'An API key or token.' }),
  signOut: z.string().max(10).optional().meta({ description: 'Any value signs the caller out.' }),
});

/**
 * Serves the page on which an inspector signs in with a key or token. The sign-in sets a session cookie, because the
 * Web UI can send only cookies to a codec. The session is valid only for the codec.
 */
export async function codecSessionRoutes(
  app: FastifyInstance,
  { auth, sessions }: Pick<AppDependencies, 'auth'> & { sessions: CodecSessions },
): Promise<void> {
  app.removeAllContentTypeParsers();
  await app.register(formbody);
  app.setErrorHandler(
    createPageErrorHandler(
      ({ kind }, { id: requestId }) => errorPage({ title: definitionOf(kind).title, requestId }),
      SESSION_PAGE_HEADERS,
    ),
  );

  app.get(
    '/session',
    {
      ...withContract({
        operationId: 'openCodecSessionPage',
        summary: 'Open the sign-in page of the codec',
        tag: 'Payloads',
        access: 'page',
      }),
      schema: { response: htmlPageResponses(200, 400, 408, 429, 431, 500, 503) },
    },
    async (request, reply) => {
      if (auth === 'open') return sendSessionPage(reply, 200, signInNotNeededPage());
      const caller = await sessions.read(request);
      return sendSessionPage(reply, 200, caller ? signedInPageFor(caller.id) : signInPage());
    },
  );

  app.post(
    '/session',
    {
      ...withContract({
        operationId: 'updateCodecSession',
        summary: 'Sign in to the codec or sign out',
        description:
          'The API key or token of a caller with the role `inspector` gets a session cookie that is valid only for `/codec`.',
        tag: 'Payloads',
        access: 'page',
        rawBodies: { 'application/x-www-form-urlencoded': sessionForm },
      }),
      schema: { response: htmlPageResponses(303, 400, 403, 408, 413, 415, 429, 431, 500, 503) },
    },
    async (request, reply) => {
      assertFromOwnPage(request);
      const form = sessionForm.safeParse(request.body ?? {});
      if (!form.success) throw invalidRequest(toInputProblems(form.error.issues));
      const { key, signOut } = form.data;
      if (signOut !== undefined) return redirectToSession(reply, sessions.clear());
      const caller = await authenticate(key?.trim() ?? '', request);
      if (!caller?.roles.includes('inspector'))
        return sendSessionPage(reply, 403, signInPage({ problem: signInProblem(caller?.id) }));
      request.log.info({ caller: caller.id }, 'signed in to the codec');
      return redirectToSession(reply, await sessions.create(caller, !isLocalHostHeader(request.headers.host ?? '')));
    },
  );

  /** Returns the caller of a key or token; undefined when the key or token is invalid. */
  async function authenticate(key: string, { authenticate }: FastifyRequest) {
    if (auth === 'open') return ANONYMOUS;
    return await authenticate({ authorization: `Bearer ${key}` }).catch((error: unknown) => {
      if (error instanceof HttpProblem && error.status === 401) return undefined;
      throw error;
    });
  }
}

/**
 * Checks that a form comes from the page of this API. Browsers send `Sec-Fetch-Site`, except over plain HTTP to another
 * machine. If the header is missing, compares `Origin` with `Host`.
 *
 * @throws 403
 */
function assertFromOwnPage({ headers: { 'sec-fetch-site': site, origin = '', host } }: FastifyRequest): void {
  const isOurs = site !== undefined ? site === 'same-origin' : URL.canParse(origin) && new URL(origin).host === host;
  if (!isOurs) throw forbidden('the form must be submitted from the page of this API');
}

const signedInPageFor = (caller: string) => signedInPage({ caller, minutes: SESSION_SECONDS / 60 });

const signInProblem = (caller: string | undefined) =>
  caller === undefined ? 'Invalid API key or token.' : `${caller} does not have the role inspector.`;

const sendSessionPage = (reply: FastifyReply, status: number, page: string): FastifyReply =>
  sendHtmlPage(reply, page, { status, headers: SESSION_PAGE_HEADERS });

/** Sets the cookie and redirects to the session page (Post/Redirect/Get). */
function redirectToSession(reply: FastifyReply, cookie: string): FastifyReply {
  return reply.headers({ ...SESSION_PAGE_HEADERS, 'set-cookie': cookie }).redirect('./session', 303);
}
