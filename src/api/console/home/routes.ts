import type { FastifyInstance } from 'fastify';
import { restrictedIdOf, type Caller } from '../../http/caller.js';
import { CONSOLE_PATH, withConsoleContract, withLiveContract } from '../contract.js';
import { sendConsolePage } from '../layout.js';
import type { ConsolePageDependencies } from '../routes.js';
import { ownHomeHtml, shopHomeHtml, type PageLink } from './pages.js';
import { createHomeReads } from './state.js';

const access = ['operator', 'shopper', 'approver'] as const;

/** The first page of the console. */
export async function homeRoutes(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  const { readShop, readOwn } = createHomeReads(deps);
  const links: readonly PageLink[] = [{ title: 'API reference', url: '/docs' }];
  const { temporalUi } = deps.links;
  const operatorLinks = [
    ...(temporalUi === undefined ? [] : [{ title: 'Temporal Web UI', url: temporalUi }]),
    ...links,
    ...(deps.consoleLinks ?? []),
  ];

  /** What the page shows to a caller. Callers with the same key see the same page. */
  const contentFor = (caller: Caller) => {
    const id = restrictedIdOf(caller);
    if (id === undefined) return { key: 'home', read: async () => shopHomeHtml(await readShop(), operatorLinks) };
    const roles = [...caller.roles].sort().join();
    return { key: `home of ${id}, ${roles}`, read: async () => ownHomeHtml(caller, await readOwn(caller), links) };
  };

  app.get(
    '',
    withConsoleContract({ operationId: 'openConsole', summary: 'Open the console', access }),
    async (request, reply) => {
      const content = await contentFor(request.caller).read();
      return sendConsolePage(request, reply, {
        title: 'Home',
        section: 'home',
        content,
        livePath: `${CONSOLE_PATH}/live`,
      });
    },
  );

  app.get(
    '/live',
    withLiveContract({ operationId: 'followConsole', summary: 'Follow the first page of the console', access }),
    async (request, reply) =>
      deps.liveStreams.send(request, reply, { ...contentFor(request.caller), render: (content) => content }),
  );
}
