import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { OpenTelemetrySinks } from '@temporalio/interceptors-opentelemetry-v2';
import type { Config } from '../../config.js';

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
  /** URLs of the systems that we call as partners: calls to them are spans, and they are told the trace. Nobody else is. */
  partners?: readonly string[];
  /** Told when spans could not be delivered, at most once a minute. */
  onProblem: (problem: string) => void;
}

/** What a process hangs its spans on. */
export interface Tracing {
  /** Of a client's calls to workflows. */
  clientInterceptors: WorkflowClientInterceptor[];
  /** Of the activities of a worker. */
  activityInterceptors: ActivityInterceptorsFactory;
  /** By which workflows hand over their spans, out of their sandbox. */
  sinks: InjectedSinks<OpenTelemetrySinks>;
  /** The trace and the span that are under way here, for a line of the log. */
  logFields: () => { traceId?: string; spanId?: string };
  /** Names the span of the HTTP request that is under way here after its route. */
  noteRoute: (template: string | undefined) => void;
  /** Delivers what there is, within a few seconds or not at all. */
  shutdown: () => Promise<void>;
}

/** Whether the standard variables switch traces on: an exporter is named, or a place for spans. */
export function isTracingOn(config: TracingConfig): boolean {
  const { OTEL_TRACES_EXPORTER: exporter, OTEL_SDK_DISABLED: isDisabled } = config;
  if (isDisabled || exporter === 'none') return false;
  const endpoint = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT;
  return exporter !== undefined || endpoint !== undefined;
}

/** Starts tracing, once in a process. Nothing of OpenTelemetry is loaded while it is off; then there is no answer. */
export async function startTracing(config: TracingConfig, options: TracingOptions): Promise<Tracing | undefined> {
  if (!isTracingOn(config)) return undefined;
  const { openTracing } = await import('./open.js');
  return openTracing(config, options);
}
