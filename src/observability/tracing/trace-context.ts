import type { Headers } from '@temporalio/common';
import { readHeader } from '../../workflows/shared/headers.js';

/** Trace state of a trace that began in a workflow instead of a request, for example after a start with the CLI. */
export const WORKFLOW_ROOT_TRACE_STATE = 'shop=workflow';

/**
 * The header of @temporalio/interceptors-opentelemetry-v2. Not imported, because the import would load the
 * OpenTelemetry API.
 */
export const TRACE_HEADER = '_tracer-data';

/** The content of that header. */
export interface TraceContext {
  traceparent: string;
  tracestate?: string;
}

/**
 * In characters. W3C Trace Context requires 512. The trace state is sent with every activity, so longer ones are
 * dropped.
 */
const MAX_TRACE_STATE = 512;

/** The trace context in headers, or undefined when it is missing or unreadable. */
export function readTraceContext(headers: Headers): TraceContext | undefined {
  const { traceparent, tracestate } = (readHeader(headers, TRACE_HEADER) ?? {}) as Record<keyof TraceContext, unknown>;
  if (typeof traceparent !== 'string') return undefined;
  const isTraceState = typeof tracestate === 'string' && tracestate.length <= MAX_TRACE_STATE;
  return { traceparent, ...(isTraceState && { tracestate }) };
}
