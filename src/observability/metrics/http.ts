import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const LABELLED_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** The reasons why a signed callback has no effect, by callback path. The counter of each combination starts at 0. */
const IGNORED_CALLBACK_REASONS = {
  shipments: ['unknown_status', 'contradicts_outcome', 'order_closed'],
  approvals: ['unknown_verdict', 'approval_closed'],
  slack: ['unknown_user', 'invalid_comment', 'not_an_approver', 'stage_passed', 'approval_closed'],
} as const;

/** The metrics of the HTTP API. */
export type HttpMetrics = ReturnType<typeof createHttpMetrics>;

/**
 * Creates the HTTP metrics. Requests are labelled with the route template, because the number of paths is unbounded and
 * paths contain personal data.
 */
export function createHttpMetrics(registry: Registry) {
  const registers = [registry];
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time until the response was sent, by method, route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const inFlight = new Gauge({
    name: 'http_requests_in_flight',
    help: 'Requests without a response yet, and open event streams',
    registers,
  });
  const ignoredCallbacks = new Counter({
    name: 'shop_callbacks_ignored_total',
    help: 'Signed callbacks that had no effect, by callback and reason',
    labelNames: ['callback', 'reason'],
    registers,
  });
  // Prometheus detects the first increase only if the counter was 0 before.
  for (const [callback, reasons] of Object.entries(IGNORED_CALLBACK_REASONS))
    for (const reason of reasons) ignoredCallbacks.inc({ callback, reason }, 0);
  return {
    /** Counts a signed callback that had no effect. */
    countIgnoredCallback<Callback extends keyof typeof IGNORED_CALLBACK_REASONS>(
      callback: Callback,
      reason: (typeof IGNORED_CALLBACK_REASONS)[Callback][number],
    ): void {
      ignoredCallbacks.inc({ callback, reason });
    },

    /** Measures all requests of an application. */
    plugin: fp(
      async (app: FastifyInstance) => {
        const open = new WeakSet<FastifyRequest>();
        const close = (request: FastifyRequest) => {
          if (open.delete(request)) inFlight.dec();
        };
        app.addHook('onRequest', async (request) => {
          open.add(request);
          inFlight.inc();
        });
        app.addHook('onResponse', async (request, reply) => {
          close(request);
          if (isEventStream(reply)) return;
          const { method, routeOptions } = request;
          durations.observe(
            {
              method: LABELLED_METHODS.has(method) ? method : 'other',
              route: routeOptions.url ?? 'unknown',
              status: reply.statusCode,
            },
            reply.elapsedTime / 1000,
          );
        });
        app.addHook('onRequestAbort', async (request) => close(request));
      },
      { name: 'http-metrics' },
    ),
  };
}

/** An event stream lasts as long as its client is connected, so its duration says nothing about response times. */
const isEventStream = (reply: FastifyReply): boolean =>
  String(reply.getHeader('content-type') ?? '').startsWith('text/event-stream');
