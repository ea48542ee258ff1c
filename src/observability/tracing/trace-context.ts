import type { Headers } from '@temporalio/common';
import { readHeader } from '../../workflows/shared/headers.js';

/** The trace state of a trace that began in a workflow, for example after a start with the CLI. */
export const WORKFLOW_ROOT_TRACE_STATE = 'shop=workflow';

/**
 * The header name of @temporalio/interceptors-opentelemetry-v2. The constant is copied, because importing it would load
 * the OpenTelemetry API.
 */
export const TRACE_HEADER = '_tracer-data';

/** The content of the header `TRACE_HEADER`. */
export interface TraceContext {
  traceparent: string;
  tracestate?: string;
}

/**
 * The maximum length in characters, which is the minimum that W3C Trace Context requires. A longer trace state is
 * dropped, because every activity carries it.
 */
const MAX_TRACE_STATE = 512;

/** Returns the trace context in the headers, or undefined when it is missing or unreadable. */
export function readTraceContext(headers: Headers): TraceContext | undefined {
  const { traceparent, tracestate } = (readHeader(headers, TRACE_HEADER) ?? {}) as Record<keyof TraceContext, unknown>;
  if (typeof traceparent !== 'string') return undefined;
  const isTraceState = typeof tracestate === 'string' && tracestate.length <= MAX_TRACE_STATE;
  return { traceparent, ...(isTraceState && { tracestate }) };
}
