import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { OpenTelemetrySinks } from '@temporalio/interceptors-opentelemetry-v2';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { Config } from '../../config/read.js';

/** The variables that configure tracing. */
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
