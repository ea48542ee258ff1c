import { trace, TraceFlags, type SpanContext } from '@opentelemetry/api';
import { ApplicationFailure, defaultPayloadConverter, type Headers } from '@temporalio/common';
import { OpenTelemetryActivityInboundInterceptor } from '@temporalio/interceptors-opentelemetry-v2/lib/worker/index.js';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { readTraceContext, TRACE_HEADER } from './trace-context.js';

/**
 * A span per activity attempt, and its trace ids in the activity's log lines.
 *
 * @param isWanted decides whether a trace that began in a workflow is sampled.
 */
export function activityTracingInterceptor(
  isWanted: (traceId: string, traceState: string | undefined) => boolean,
): ActivityInterceptorsFactory {
  return (activity) => {
    const { activityType, attempt, workflowType, taskQueue } = activity.info;
    const spans = new OpenTelemetryActivityInboundInterceptor(activity);
    let own: SpanContext | undefined;
    return {
      inbound: {
        execute: (input, next) =>
          spans.execute({ ...input, headers: applySamplingDecision(isWanted, input.headers) }, async (inner) => {
            const span = trace.getActiveSpan();
            own = span?.spanContext();
            span?.setAttributes({ attempt, taskQueue, ...(workflowType && { workflowType }) });
            try {
              return await next({ ...inner, headers: input.headers });
            } catch (error) {
              span?.setAttribute('error.type', errorTypeOf(error) ?? activityType);
              throw error;
            }
          }),
      },
      outbound: {
        // Also applies to log lines that the SDK writes after the span has ended.
        getLogAttributes: (input, next) => next({ ...input, ...(own && { traceId: own.traceId, spanId: own.spanId }) }),
      },
    };
  };
}

function applySamplingDecision(isWanted: Parameters<typeof activityTracingInterceptor>[0], headers: Headers): Headers {
  const carrier = readTraceContext(headers);
  if (!carrier) {
    // Drop an unreadable header, because the SDK's interceptor would throw on it.
    const { [TRACE_HEADER]: _, ...others } = headers;
    return others;
  }
  const [version, traceId = '', spanId] = carrier.traceparent.split('-');
  if (isWanted(traceId, carrier.tracestate)) return headers;
  const unsampled = [version, traceId, spanId, `0${TraceFlags.NONE}`].join('-');
  return { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload({ ...carrier, traceparent: unsampled }) };
}

function errorTypeOf(error: unknown): string | undefined {
  if (error instanceof ApplicationFailure) return error.type ?? undefined;
  return error instanceof Error ? error.name : undefined;
}
