import type { FastifyInstance, RouteOptions } from 'fastify';
import fp from 'fastify-plugin';

/** Public pages that libraries serve. They have no contract. */
const LIBRARY_PATHS = /^\/docs(\/|$)/;

/** Rejects routes without a contract at registration, because only the contract defines who may call a route. */
export const requiredContractsPlugin = fp(
  async (app: FastifyInstance) => {
    app.addHook('onRoute', ({ method, url, config }: RouteOptions) => {
      if (config?.contract ?? (method === 'OPTIONS' || LIBRARY_PATHS.test(url))) return;
      throw new Error(
        `${String(method)} ${url} has no contract: add withContract, which defines who may call the route`,
      );
    });
  },
  { name: 'required-contracts' },
);
