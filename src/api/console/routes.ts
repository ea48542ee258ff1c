import { fileURLToPath } from 'node:url';
import formbody from '@fastify/formbody';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import type { ListApprovals } from '../approvals/list.js';
import type { BatchServices } from '../batches/services.js';
import type { AppDependencies } from '../dependencies.js';
import { assertFromOwnPage } from '../http/request-origin.js';
import type { ListOrders } from '../orders/list.js';
import type { Sessions } from '../plugins/auth/sessions.js';
import { batchPages } from './batches/routes.js';
import { bulkPages } from './bulk/routes.js';
import { cartPages } from './carts/routes.js';
import { withConsoleContract } from './contract.js';
import { approvalPages } from './approvals/routes.js';
import { sendErrorPage, sendNotFoundPage } from './error-page.js';
import { createFormRedirects } from './form-redirects.js';
import { homeRoutes } from './home/routes.js';
import { createLiveStreams, type LiveStreams } from './live-streams.js';
import { orderPages } from './orders/routes.js';
import { shipmentReportPages } from './shipment-reports/routes.js';
import { signInRoutes } from './sign-in/routes.js';
import { productPages } from './products/routes.js';
import { startPages } from './start/routes.js';

export type ConsoleDependencies = AppDependencies & {
  batches: BatchServices;
  listOrders: ListOrders;
  listApprovals: ListApprovals;
  /** Aborts when the process closes. */
  closing: AbortSignal;
  /** Undefined without authentication. */
  sessions: Sessions | undefined;
};

export type ConsolePageDependencies = ConsoleDependencies & { liveStreams: LiveStreams };

/** Routes of the console: HTML pages for people. They use the services of the API and have no logic of their own. */
export async function consoleRoutes(app: FastifyInstance, deps: ConsoleDependencies): Promise<void> {
  app.removeAllContentTypeParsers();
  await app.register(formbody);
  app.setErrorHandler(sendErrorPage);
  app.setNotFoundHandler(sendNotFoundPage);
  app.addHook('preParsing', async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') assertFromOwnPage(request);
  });
  const formRedirects = createFormRedirects(app);
  await app.register(consoleAssets, { prefix: '/assets' });

  const pageDeps: ConsolePageDependencies = { ...deps, liveStreams: createLiveStreams(deps.closing) };
  app.register(signInRoutes, { ...pageDeps, prefix: '' });
  app.register(homeRoutes, { ...pageDeps, prefix: '' });
  app.register(orderPages, { ...pageDeps, prefix: '/orders' });
  app.register(shipmentReportPages, { ...pageDeps, prefix: '/shipment-reports' });
  app.register(approvalPages, { ...pageDeps, prefix: '/approvals' });
  app.register(batchPages, { ...pageDeps, prefix: '/batches' });
  app.register(bulkPages, { ...pageDeps, prefix: '/bulk' });
  app.register(cartPages, { ...pageDeps, prefix: '/carts' });
  app.register(productPages, { ...pageDeps, prefix: '/products' });
  app.register(startPages, { ...pageDeps, prefix: '/start' });
  app.register(formRedirects);
}

/** The stylesheet and the scripts. Everybody may read them, because the sign-in page needs them. */
async function consoleAssets(app: FastifyInstance): Promise<void> {
  await app.register(fastifyStatic, { serve: false, maxAge: 0 });
  for (const [name, file] of Object.entries(ASSETS)) {
    app.get(
      `/${name}`,
      withConsoleContract({ operationId: `getConsoleAsset_${name}`, summary: `Get ${name}`, access: 'public' }),
      async (_request, reply) => reply.sendFile(file.name, file.folder),
    );
  }
}

const folderOf = (url: string) => fileURLToPath(new URL('.', url));
const ASSETS_FOLDER = fileURLToPath(new URL('./assets/', import.meta.url));

/** The files that browsers load, by the last part of their URL. */
const ASSETS: Record<string, { name: string; folder: string }> = {
  'console.css': { name: 'console.css', folder: ASSETS_FOLDER },
  'console.js': { name: 'console.js', folder: ASSETS_FOLDER },
  'curl-preview.js': { name: 'curl-preview.js', folder: ASSETS_FOLDER },
  'upload.js': { name: 'upload.js', folder: ASSETS_FOLDER },
  'idiomorph.js': { name: 'idiomorph.esm.js', folder: folderOf(import.meta.resolve('idiomorph')) },
};
