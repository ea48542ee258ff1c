import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { VISITOR, type Caller } from '../../http/caller.js';
import { isToLocalHost, originOf } from '../../http/request-origin.js';
import { parseInput } from '../../http/parse-input.js';
import { ALL_ROLES } from '../../http/route-contract.js';
import { createIdentityProvider, type IdentityProvider } from '../../plugins/auth/identity-provider.js';
import { CODEC_PATH } from '../../plugins/protection.js';
import { HttpProblem } from '../../problems/http-problem.js';
import { withConsoleContract } from '../contract.js';
import { redirectWithinConsole, sendConsolePage } from '../layout.js';
import type { ConsolePageDependencies } from '../routes.js';
import { accountPage, missingRoleProblem, openAccountPage, signInPage } from './pages.js';
import { ACCOUNT_PATH, readNextPath, SIGN_IN_PATH, SIGN_OUT_PATH, startPathOf } from './paths.js';
import { providerSignInRoutes } from './provider-routes.js';

const MAX_CREDENTIAL_LENGTH = 8_192;

const signInForm = z.object({ key: z.string().max(MAX_CREDENTIAL_LENGTH).optional() });

/** Sign-in with an API key or token, sign-out, and the page of the account. Without authentication, there is no sign-in. */
export async function signInRoutes(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  const { sessions } = deps;
  const provider = identityProviderOf(deps);

  app.get(
    ACCOUNT_PATH,
    withConsoleContract({ operationId: 'openAccount', summary: 'Show who is signed in', access: ALL_ROLES }),
    async (request, reply) => {
      if (!sessions) return sendConsolePage(request, reply, openAccountPage());
      const { caller } = request;
      const codecUrl = deps.codec && caller.roles.includes('inspector') ? originOf(request) + CODEC_PATH : undefined;
      return sendConsolePage(request, reply, accountPage({ caller, codecUrl }));
    },
  );

  app.get(
    SIGN_IN_PATH,
    withConsoleContract({ operationId: 'openSignInPage', summary: 'Open the sign-in page', access: 'page' }),
    async (request, reply) => {
      const next = readNextPath(request.query);
      if (!sessions) return redirectWithinConsole(reply, next ?? '');
      const signedIn = request.caller === VISITOR ? undefined : request.caller;
      return sendConsolePage(request, reply, signInPage({ next, signedIn, providerHost: provider?.host }));
    },
  );
  if (!sessions) return;

  app.post(
    SIGN_IN_PATH,
    withConsoleContract({ operationId: 'signIn', summary: 'Sign in with an API key or token', access: 'page' }),
    async (request, reply) => {
      const { key = '' } = parseInput(signInForm, request.body ?? {});
      const next = readNextPath(request.body);
      const credential = key.trim();
      const caller = isInsecure(request) ? undefined : await authenticate(request, credential);
      const problem = isInsecure(request) ? HTTPS_NEEDED : signInProblem(caller);
      if (problem !== undefined || !caller)
        return sendConsolePage(
          request,
          reply,
          signInPage({ next, problem, status: 403, providerHost: provider?.host }),
        );
      request.caller = caller;
      reply.header('set-cookie', await sessions.create(request, caller, credential));
      return redirectWithinConsole(reply, next || startPathOf(caller));
    },
  );

  if (provider) app.register(providerSignInRoutes, { sessions, provider, prefix: SIGN_IN_PATH });

  app.post(
    SIGN_OUT_PATH,
    withConsoleContract({ operationId: 'signOut', summary: 'Sign out', access: 'page' }),
    async (request, reply) => {
      deps.liveStreams.endStreamsOf(request.caller.id);
      return redirectWithinConsole(reply.header('set-cookie', sessions.clear(request)), SIGN_IN_PATH);
    },
  );
}

function identityProviderOf({ auth, sessionSecrets }: ConsolePageDependencies): IdentityProvider | undefined {
  if (auth === 'open' || !auth.oidc || !auth.tokens) return undefined;
  return createIdentityProvider(auth.oidc, auth.tokens, sessionSecrets);
}

/** Returns the caller of a key or token; undefined when the key or token is invalid. */
async function authenticate(request: FastifyRequest, credential: string): Promise<Caller | undefined> {
  return await request.authenticate({ authorization: `Bearer ${credential}` }).catch((error: unknown) => {
    if (error instanceof HttpProblem && error.status === 401) return undefined;
    throw error;
  });
}

const HTTPS_NEEDED = 'Open this page over https. Browsers keep a session only over https or on localhost.';

const signInProblem = (caller: Caller | undefined) =>
  caller ? missingRoleProblem(caller) : 'Invalid API key or token.';

/** Whether a form was sent without TLS to another machine. Browsers ignore a `Secure` cookie in this case. */
const isInsecure = (request: FastifyRequest) =>
  !isToLocalHost(request) && request.headers.origin?.startsWith('http:') === true;
