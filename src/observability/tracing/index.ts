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
  /** Base URLs of partners. Only calls to partners get spans and trace headers. */
  partners?: readonly string[];
  /** Called when spans could not be delivered, at most once a minute. */
  onExportError: (problem: string) => void;
}

/** The tracing hooks of a process. */
export interface Tracing {
  /** For a client's calls to workflows. */
  clientInterceptors: WorkflowClientInterceptor[];
  /** For the activities of a worker. */
  activityInterceptor: ActivityInterceptorsFactory;
  /** Receives the spans of workflows from their sandbox. */
  sinks: InjectedSinks<OpenTelemetrySinks>;
  /** The active trace and span ids, for log lines. */
  logFields: () => { traceId?: string; spanId?: string };
  /** Sets the route of the active HTTP request's span. */
  onRoute: (template: string | undefined) => void;
  /** Delivers pending spans, within a few seconds or not at all. */
  shutdown: () => Promise<void>;
}

/** Whether the standard variables enable tracing: an exporter or an endpoint is set. */
export function isTracingEnabled(config: TracingConfig): boolean {
  const { OTEL_TRACES_EXPORTER: exporter, OTEL_SDK_DISABLED: isDisabled } = config;
  if (isDisabled || exporter === 'none') return false;
  const endpoint = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT;
  return exporter !== undefined || endpoint !== undefined;
}

/** Starts tracing, once per process. Returns undefined and loads no OpenTelemetry code when tracing is off. */
export async function startTracing(config: TracingConfig, options: TracingOptions): Promise<Tracing | undefined> {
  if (!isTracingEnabled(config)) return undefined;
  const { startOpenTelemetry } = await import('./otel.js');
  return startOpenTelemetry(config, options);
}
