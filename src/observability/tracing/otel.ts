import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import { context, diag, DiagLogLevel, propagation, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  getRPCMetadata,
  parseKeyPairsIntoRecord,
  setGlobalErrorHandler,
  W3CTraceContextPropagator,
} from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';
import { withTimeout } from '../../async/promises.js';
import { makeWorkflowExporter, OpenTelemetryWorkflowClientInterceptor } from '../../temporal/sdk/opentelemetry.js';
import { activityTracingInterceptor } from './activity-interceptor.js';
import { withAllowedAttributes } from './attribute-allowlist.js';
import type { Tracing, TracingConfig, TracingOptions } from './tracing.js';
import { WORKFLOW_ROOT_TRACE_STATE } from './trace-context.js';

/** How long a stopping process tries to export its last spans. */
const SHUTDOWN_TIMEOUT_MS = 5_000;

const EXPORT_ERROR_INTERVAL_MS = 60_000;

/** Paths whose requests are not traced, because they repeat every few seconds or last for hours. */
const UNTRACED_PATHS = /^\/(livez|readyz|metrics)(\/|\?|$)|\/events(\?|$)/;

/** Instruments HTTP, SQL, calls to external systems, and Temporal in this process. */
export function startOpenTelemetry(
  config: TracingConfig,
  { service, partners = [], onExportError }: TracingOptions,
): Tracing {
  const report = throttle(EXPORT_ERROR_INTERVAL_MS, onExportError);
  diag.setLogger(
    { error: report, warn: report, info: () => {}, debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  setGlobalErrorHandler((error) => report(typeof error === 'string' ? error : String(error.message)));

  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': `shop-${service}` }))
    .merge(resourceFromAttributes({ 'service.instance.id': `${hostname()}:${process.pid}` }))
    .merge(detectResources({ detectors: [envDetector] }));
  const sampler = createSampler(config);
  const exporter = config.OTEL_TRACES_EXPORTER === 'console' ? new ConsoleSpanExporter() : createOtlpExporter(config);
  const processor = new BatchSpanProcessor(withAllowedAttributes(exporter));
  const provider = new BasicTracerProvider({ resource, sampler, spanProcessors: [processor] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  registerInstrumentations(service, partners);

  /**
   * Decides about traces that began in a workflow. The workflow sandbox has no configuration, so it cannot decide
   * itself.
   */
  const isSampled = (traceId: string, traceState?: string) =>
    traceState !== WORKFLOW_ROOT_TRACE_STATE ||
    sampler.shouldSample(ROOT_CONTEXT, traceId, '', SpanKind.INTERNAL, {}, []).decision ===
      SamplingDecision.RECORD_AND_SAMPLED;
  const exportSpans = makeWorkflowExporter(processor, resource).export.fn;
  return {
    clientInterceptors: [new OpenTelemetryWorkflowClientInterceptor()],
    activityInterceptor: activityTracingInterceptor(isSampled),
    sinks: {
      exporter: {
        export: {
          fn: (info, spans) => {
            const { workflowId, runId, workflowType, taskQueue } = info;
            const sampled = spans.filter(({ spanContext: { traceId, traceState } }) => isSampled(traceId, traceState));
            const attributes = { temporalWorkflowId: workflowId, run_id: runId, workflowType, taskQueue };
            // The exporter uses `info` only for attributes and adds all of its fields.
            void exportSpans(attributes as unknown as typeof info, sampled);
          },
        },
      },
    },
    logFields: activeSpanFields,
    onRoute(template) {
      const metadata = getRPCMetadata(context.active());
      if (metadata && template !== undefined) metadata.route = template;
    },
    async shutdown() {
      const finished = provider.shutdown().catch((error: Error) => report(error.message));
      await withTimeout(finished, SHUTDOWN_TIMEOUT_MS, () => undefined);
    },
  };
}

/**
 * Passes the headers explicitly, because they can come from a secret file. The exporter reads all other settings from
 * the environment.
 */
function createOtlpExporter(config: TracingConfig): OTLPTraceExporter {
  const { OTEL_EXPORTER_OTLP_HEADERS: common, OTEL_EXPORTER_OTLP_TRACES_HEADERS: headers = common } = config;
  return new OTLPTraceExporter({ headers: parseKeyPairsIntoRecord(headers) });
}

function activeSpanFields() {
  const active = trace.getSpanContext(context.active());
  return active ? { traceId: active.traceId, spanId: active.spanId } : {};
}

function registerInstrumentations(service: TracingOptions['service'], partners: readonly string[]): void {
  const origins = new Set(partners.map((url) => new URL(url).origin));
  new UndiciInstrumentation({
    requireParentforSpans: true,
    ignoreRequestHook: ({ origin }) => !origins.has(origin),
  });
  new PgInstrumentation({ requireParentSpan: true, ignoreConnectSpans: true });
  const modules = ['pg'];
  if (service === 'api') {
    new HttpInstrumentation({
      disableOutgoingRequestInstrumentation: true,
      ignoreIncomingRequestHook: ({ url = '' }) => UNTRACED_PATHS.test(url),
    });
    modules.push('http');
  }
  // Loading the modules applies the instrumentation. It patches `require`, even for loaded modules. ES modules share
  // the patched exports.
  const require = createRequire(import.meta.url);
  for (const name of modules) require(name);
}

function createSampler({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio = 1 }: TracingConfig): Sampler {
  const root = name.endsWith('traceidratio')
    ? new TraceIdRatioBasedSampler(ratio)
    : name.endsWith('always_off')
      ? new AlwaysOffSampler()
      : new AlwaysOnSampler();
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}

/** Reports at most one problem per interval and drops the others. */
function throttle(intervalMs: number, report: (problem: string) => void): (problem: string) => void {
  let lastReportAt = -Infinity;
  return (problem) => {
    if (performance.now() - lastReportAt < intervalMs) return;
    lastReportAt = performance.now();
    report(problem);
  };
}
