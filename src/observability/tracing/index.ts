import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { OpenTelemetrySinks } from '@temporalio/interceptors-opentelemetry-v2';
import type { Config } from '../../config/read.js';

export type TracingConfig = Pick<
  Config<'api' | 'worker'>,
  | 'OTEL_SDK_DISABLED'
  | 'OTEL_TRACES_EXPORTER'
  | 'OTEL_EXPORTER_OTLP_ENDPOINT'
  | 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  | 'OTEL_EXPORTER_OTLP_HEADERS'
  | 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'
  | 'OTEL_TRACES_SAMPLER'
  | 'OTEL_TRACES_SAMPLER_ARG'
>;

export interface TracingOptions {
  service: 'api' | 'worker';
  /** The base URLs of external systems. Only calls to these systems get spans and trace headers. */
  partners?: readonly string[];
  /** Called when spans cannot be exported, at most once a minute. */
  onExportError: (problem: string) => void;
}

/** The hooks that connect a process to tracing. */
export interface Tracing {
  /** Interceptors for the calls of a client to workflows. */
  clientInterceptors: WorkflowClientInterceptor[];
  /** The interceptor for the activities of a worker. */
  activityInterceptor: ActivityInterceptorsFactory;
  /** The sinks that receive spans from the workflow sandbox. */
  sinks: InjectedSinks<OpenTelemetrySinks>;
  /** Returns the ids of the active trace and span, for log lines. */
  logFields: () => { traceId?: string; spanId?: string };
  /** Sets the route in the span of the active HTTP request. */
  onRoute: (template: string | undefined) => void;
  /** Exports pending spans. Gives up after a few seconds. */
  shutdown: () => Promise<void>;
}

/** Whether the standard variables turn on tracing: an exporter or an endpoint is set. */
export function isTracingEnabled(config: TracingConfig): boolean {
  const { OTEL_TRACES_EXPORTER: exporter, OTEL_SDK_DISABLED: isDisabled } = config;
  if (isDisabled || exporter === 'none') return false;
  const endpoint = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT;
  return exporter !== undefined || endpoint !== undefined;
}

/**
 * Starts tracing. Call it only once per process. When tracing is off, returns undefined and loads no OpenTelemetry
 * code.
 */
export async function startTracing(config: TracingConfig, options: TracingOptions): Promise<Tracing | undefined> {
  if (!isTracingEnabled(config)) return undefined;
  const { startOpenTelemetry } = await import('./otel.js');
  return startOpenTelemetry(config, options);
}
