import type { Headers } from '@temporalio/common';
import { readHeader } from '../../workflows/shared/headers.js';

/** What a trace carries along that began in a workflow and not in a request: a start by the command line, say. */
export const BEGUN_BY_WORKFLOW = 'shop=workflow';

/** The header of @temporalio/interceptors-opentelemetry-v2, whose own constant would bring the OpenTelemetry API along. */
export const TRACE_HEADER = '_tracer-data';

/** What is in that header. */
export interface Carrier {
  traceparent: string;
  tracestate?: string;
}

/** In characters; W3C Trace Context asks for 512. A longer one would go along with every activity. */
const MAX_TRACE_STATE = 512;

/** The trace that headers tell, or undefined where they tell none or one that cannot be read. */
export function carrierIn(headers: Headers): Carrier | undefined {
  const { traceparent, tracestate } = (readHeader(headers, TRACE_HEADER) ?? {}) as Record<keyof Carrier, unknown>;
  if (typeof traceparent !== 'string') return undefined;
  const isTraceState = typeof tracestate === 'string' && tracestate.length <= MAX_TRACE_STATE;
  return { traceparent, ...(isTraceState && { tracestate }) };
}
