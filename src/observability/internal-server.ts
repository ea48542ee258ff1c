import Fastify, { type FastifyInstance } from 'fastify';
import type { Logger } from './logger.js';

export interface ListenAddress {
  host: string;
  /** 0 selects a free port. */
  port: number;
}

export interface InternalServer {
  url: string;
  close: () => Promise<void>;
}

/**
 * Starts an HTTP server for the orchestrator and the monitoring system. It has its own port, because callers of the API
 * must not reach it. Logs only warnings and errors, because its requests repeat every few seconds.
 */
export async function startInternalServer(
  { host, port, logger }: ListenAddress & { logger: Logger },
  addRoutes: (app: FastifyInstance) => void,
): Promise<InternalServer> {
  const app = Fastify({
    loggerInstance: logger.child({}, { level: 'warn' }),
    forceCloseConnections: true,
  }) as unknown as FastifyInstance;
  addRoutes(app);
  return { url: await app.listen({ host, port }), close: () => app.close() };
}
