import type { FastifyInstance } from 'fastify';
import { originOf } from '../../http/request-origin.js';
import { SignInFailed, type IdentityProvider } from '../../plugins/auth/identity-provider.js';
import type { Sessions } from '../../plugins/auth/sessions.js';
import { CONSOLE_PATH, withConsoleContract } from '../contract.js';
import { redirectWithinConsole, sendConsolePage } from '../layout.js';
import { missingRoleProblem, signInPage } from './pages.js';
import { CALLBACK_PATH, PROVIDER_PATH, readNextPath, SIGN_IN_PATH, startPathOf } from './paths.js';

/** Sign-in with an OpenID Connect provider. The token of the provider becomes a session that ends with the token. */
export async function providerSignInRoutes(
  app: FastifyInstance,
  { provider, sessions }: { provider: IdentityProvider; sessions: Sessions },
): Promise<void> {
  app.get(
    PROVIDER_PATH,
    withConsoleContract({
      operationId: 'startProviderSignIn',
      summary: 'Go to the sign-in page of the identity provider',
      access: 'page',
    }),
    async (request, reply) => {
      const redirectUri = originOf(request) + CONSOLE_PATH + SIGN_IN_PATH + CALLBACK_PATH;
      const { url, cookie } = await provider.start(request, { redirectUri, next: readNextPath(request.query) });
      return reply.headers({ 'cache-control': 'no-store', 'set-cookie': cookie }).redirect(url, 303);
    },
  );

  app.get(
    CALLBACK_PATH,
    withConsoleContract({
      operationId: 'completeProviderSignIn',
      summary: 'Complete a sign-in at the identity provider',
      access: 'page',
      changesState: true,
    }),
    async (request, reply) => {
      const sendProblem = (problem: string) =>
        sendConsolePage(request, reply, signInPage({ problem, status: 403, providerHost: provider.host }));
      try {
        const { caller, token, next } = await provider.complete(request);
        const problem = missingRoleProblem(caller);
        if (problem !== undefined) return sendProblem(problem);
        request.caller = caller;
        const cookies = [provider.clear(request), await sessions.create(request, caller, token)];
        reply.header('set-cookie', cookies);
        return redirectWithinConsole(reply, next || startPathOf(caller));
      } catch (error) {
        if (error instanceof SignInFailed) return sendProblem(error.message);
        throw error;
      }
    },
  );
}
