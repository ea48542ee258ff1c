import type { FastifyInstance } from 'fastify';
import type { RouteContract } from '../http/route-contract.js';
import { CONSOLE_PATH, withConsoleContract } from './contract.js';
import { redirectWithinConsole } from './layout.js';

type Access = Parameters<typeof withConsoleContract>[0]['access'];

/**
 * Returns a plugin that redirects a GET of the path of a form to the page that contains the form. Browsers send such a
 * GET when a person reloads the response to a form or goes back to it. The page is the nearest one above the path of the
 * form.
 *
 * Call this function before the routes of the console are registered, and register the plugin after them.
 */
export function createFormRedirects(console: FastifyInstance): (app: FastifyInstance) => Promise<void> {
  const pages = new Map<string, RouteContract>();
  const forms: string[] = [];
  console.addHook('onRoute', ({ method, url, config }) => {
    if (method === 'GET') pages.set(url, config!.contract!);
    if (method === 'POST') forms.push(url);
  });

  return async (app) => {
    for (const form of forms.filter((url) => !pages.has(url))) {
      const page = nearestPage(form, pages);
      const depth = page.split('/').length;
      app.get(
        form.slice(CONSOLE_PATH.length),
        withConsoleContract({
          operationId: `openPageOf_${form}`,
          summary: 'Go to the page of a form',
          // Only callers who may open the page may follow the redirect to it.
          access: pages.get(page)!.access as Access,
        }),
        async ({ url }, reply) => {
          const [path = ''] = url.split('?', 1);
          return redirectWithinConsole(reply, path.split('/').slice(0, depth).join('/').slice(CONSOLE_PATH.length));
        },
      );
    }
  };
}

/** @throws if there is no page above the path, so that a form without a page is noticed at the start. */
function nearestPage(form: string, pages: ReadonlyMap<string, unknown>): string {
  for (let path = form; path.length > CONSOLE_PATH.length;) {
    path = path.slice(0, path.lastIndexOf('/'));
    if (pages.has(path)) return path;
  }
  throw new Error(`the form ${form} has no page above its path`);
}
