import { trace, TraceFlags, type SpanContext } from '@opentelemetry/api';
import { ApplicationFailure, defaultPayloadConverter, type Headers } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { OpenTelemetryActivityInboundInterceptor } from '../../temporal/sdk/opentelemetry.js';
import { readTraceContext, TRACE_HEADER } from './trace-context.js';

/**
 * Creates a span for each activity attempt and adds its trace ids to the activity's log lines.
 *
 * @param isSampled decides whether a trace that began in a workflow is sampled.
 */
export function activityTracingInterceptor(
  isSampled: (traceId: string, traceState: string | undefined) => boolean,
): ActivityInterceptorsFactory {
  return (activity) => {
    const { activityType, attempt, workflowType, taskQueue } = activity.info;
    const spanInterceptor = new OpenTelemetryActivityInboundInterceptor(activity);
    let attemptSpan: SpanContext | undefined;
    return {
      inbound: {
        execute: (input, next) =>
          spanInterceptor.execute(
            { ...input, headers: applySamplingDecision(isSampled, input.headers) },
            async (tracedInput) => {
              const span = trace.getActiveSpan();
              attemptSpan = span?.spanContext();
              span?.setAttributes({ attempt, taskQueue, ...(workflowType && { workflowType }) });
              try {
                return await next({ ...tracedInput, headers: input.headers });
              } catch (error) {
                span?.setAttribute('error.type', errorTypeOf(error) ?? activityType);
                throw error;
              }
            },
          ),
      },
      outbound: {
        // `attemptSpan` also serves log lines that the SDK writes after the end of the span.
        getLogAttributes: (input, next) =>
          next({ ...input, ...(attemptSpan && { traceId: attemptSpan.traceId, spanId: attemptSpan.spanId }) }),
      },
    };
  };
}

function applySamplingDecision(isSampled: Parameters<typeof activityTracingInterceptor>[0], headers: Headers): Headers {
  const traceContext = readTraceContext(headers);
  if (!traceContext) {
    // Drops an unreadable header, because the SDK's interceptor would throw on it.
    const { [TRACE_HEADER]: _, ...others } = headers;
    return others;
  }
  const [version, traceId = '', spanId] = traceContext.traceparent.split('-');
  if (isSampled(traceId, traceContext.tracestate)) return headers;
  const unsampled = [version, traceId, spanId, `0${TraceFlags.NONE}`].join('-');
  return { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload({ ...traceContext, traceparent: unsampled }) };
}

function errorTypeOf(error: unknown): string | undefined {
  if (error instanceof ApplicationFailure) return error.type ?? undefined;
  return error instanceof Error ? error.name : undefined;
}
