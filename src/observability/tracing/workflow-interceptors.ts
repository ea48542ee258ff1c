import { ApplicationFailure, defaultPayloadConverter, TemporalFailure, type Headers } from '@temporalio/common';
import type { OpenTelemetrySinks } from '@temporalio/interceptors-opentelemetry-v2';
import {
  AsyncLocalStorage,
  ContinueAsNew,
  isCancellation,
  proxySinks,
  workflowInfo,
  type WorkflowInterceptors,
} from '@temporalio/workflow';
import { DeterministicIdGenerator } from '../../temporal/sdk/workflow-id-generator.js';
import { reasonOf } from '../../workflows/shared/failures.js';
import { WORKFLOW_ROOT_TRACE_STATE, readTraceContext, TRACE_HEADER, type TraceContext } from './trace-context.js';

/**
 * Interceptors that create the spans of workflows in the sandbox. A sink exports the spans and does nothing during
 * replay. The headers and ids are those of @temporalio/interceptors-opentelemetry-v2. This module does not use the
 * workflow interceptors of that package or the OpenTelemetry SDK, because each cached workflow would hold a copy of
 * them.
 *
 * Turning traces on or off must not change the behavior of a workflow, so this code awaits nothing. A span ends beside
 * the call that it measures, and the workflow continues in the same microtask as without tracing. The interceptors of
 * that package await: with them, 8 of the 71 recorded histories do not replay. Queries and validators have no spans,
 * because they are not replayed and would consume deterministic ids.
 */
export const interceptors = (): WorkflowInterceptors => ({
  inbound: [
    {
      execute: (input, next) => {
        const span = startSpan(`RunWorkflow:${workflowInfo().workflowType}`, readParentSpan(input.headers));
        runSpan ??= span;
        return withSpan(span, () => next(input));
      },
      handleSignal: (input, next) =>
        withSpan(startSpan(`HandleSignal:${input.signalName}`, readParentSpan(input.headers) ?? runSpan), () =>
          next(input),
        ),
      handleUpdate: (input, next) =>
        withSpan(startSpan(`HandleUpdate:${input.name}`, readParentSpan(input.headers) ?? runSpan), () => next(input)),
    },
  ],
  outbound: [
    {
      scheduleActivity: (input, next) => traceOutboundCall('StartActivity', input.activityType, input, next),
      startChildWorkflowExecution: (input, next) =>
        traceOutboundCall('StartChildWorkflow', input.workflowType, input, next),
      signalWorkflow: (input, next) => traceOutboundCall('SignalWorkflow', input.signalName, input, next),
      continueAsNew: (input, next) => traceOutboundCall('ContinueAsNew', workflowInfo().workflowType, input, next),
      getLogAttributes: (input, next) => {
        const span = activeSpan.getStore() ?? runSpan;
        return next({ ...input, ...(span && { traceId: span.traceId, spanId: span.spanId }) });
      },
    },
  ],
});

/**
 * The maximum number of spans per parent span and kind of call. With this limit, the trace of any batch stays readable:
 * it shows at most 20 shards with 20 chunks each. Further calls pass on the trace context for logs, but are not
 * sampled.
 */
const MAX_SAMPLED_CALLS_PER_KIND = 20;

const SAMPLED_FLAG = 1;
const SPAN_KIND_INTERNAL = 0;
const SPAN_STATUS = { unset: 0, ok: 1, error: 2 };

/** A span that has not ended, sampled or not. */
interface OpenSpan {
  traceId: string;
  spanId: string;
  isSampled: boolean;
  traceState: string | undefined;
  parent: ParentSpanContext | undefined;
  name: string;
  startedAt: number;
  /** The number of outgoing calls, by kind and type. */
  calls: Record<string, number>;
}

type ParentSpanContext = Pick<OpenSpan, 'traceId' | 'spanId' | 'isSampled' | 'traceState'>;

const idGenerator = new DeterministicIdGenerator();
const activeSpan = new AsyncLocalStorage<OpenSpan>();
/** The span of the run. It is the parent of every span that has no parent in its headers. */
let runSpan: OpenSpan | undefined;

function startSpan(name: string, parent: ParentSpanContext | undefined): OpenSpan {
  return {
    traceId: parent?.traceId ?? idGenerator.generateTraceId(),
    spanId: idGenerator.generateSpanId(),
    isSampled: parent?.isSampled ?? true,
    traceState: parent ? parent.traceState : WORKFLOW_ROOT_TRACE_STATE,
    parent,
    name,
    startedAt: Date.now(),
    calls: {},
  };
}

function withSpan<T>(span: OpenSpan, work: () => Promise<T>): Promise<T> {
  const outcome = activeSpan.run(span, work);
  outcome.then(
    () => endSpan(span, SPAN_STATUS.ok),
    (error: unknown) => endSpan(span, spanStatusOf(error), error),
  );
  return outcome;
}

/** Creates a span for an outgoing call and passes the span on as the parent. */
function traceOutboundCall<Input extends { headers: Headers }, T>(
  kind: string,
  type: string,
  input: Input,
  next: (input: Input) => Promise<T>,
): Promise<T> {
  const parent = activeSpan.getStore() ?? runSpan;
  if (!parent) return next(input);
  const name = `${kind}:${type}`;
  const calls = (parent.calls[name] = (parent.calls[name] ?? 0) + 1);
  if (calls > MAX_SAMPLED_CALLS_PER_KIND)
    return next({ ...input, headers: injectTraceContext(input.headers, { ...parent, isSampled: false }) });
  const span = startSpan(name, parent);
  return withSpan(span, () => next({ ...input, headers: injectTraceContext(input.headers, span) }));
}

function readParentSpan(headers: Headers): ParentSpanContext | undefined {
  const traceContext = readTraceContext(headers);
  const [, traceId, spanId, flags] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceContext?.traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return {
    traceId,
    spanId,
    isSampled: (parseInt(flags, 16) & SAMPLED_FLAG) === SAMPLED_FLAG,
    traceState: traceContext?.tracestate,
  };
}

function injectTraceContext(headers: Headers, { traceId, spanId, isSampled, traceState }: ParentSpanContext): Headers {
  const traceContext: TraceContext = {
    traceparent: `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`,
    ...(traceState !== undefined && { tracestate: traceState }),
  };
  return { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(traceContext) };
}

/** Continue-as-new, cancellations and expected rejections do not count as errors. */
function spanStatusOf(error: unknown): number {
  if (error instanceof ContinueAsNew) return SPAN_STATUS.ok;
  return isCancellation(error) || (error instanceof ApplicationFailure && error.category === 'BENIGN')
    ? SPAN_STATUS.unset
    : SPAN_STATUS.error;
}

function endSpan(span: OpenSpan, code: number, error?: unknown): void {
  if (!span.isSampled) return;
  const isFailure = error !== undefined && !(error instanceof ContinueAsNew);
  const milliseconds = Date.now();
  proxySinks<OpenTelemetrySinks>().exporter.export([
    {
      name: span.name,
      kind: SPAN_KIND_INTERNAL,
      spanContext: spanContextOf(span),
      ...(span.parent && { parentSpanContext: spanContextOf(span.parent) }),
      startTime: toHrTime(span.startedAt),
      endTime: toHrTime(milliseconds),
      duration: toHrTime(milliseconds - span.startedAt),
      status: { code },
      attributes: isFailure ? { 'error.type': errorTypeOf(error) } : {},
      links: [],
      events: [],
      ended: true,
      droppedAttributesCount: 0,
      droppedLinksCount: 0,
      droppedEventsCount: 0,
      instrumentationScope: { name: 'workflow' },
    },
  ]);
}

const spanContextOf = ({ traceId, spanId, isSampled, traceState }: ParentSpanContext) => ({
  traceId,
  spanId,
  traceFlags: isSampled ? SAMPLED_FLAG : 0,
  ...(traceState !== undefined && { traceState }),
});

const toHrTime = (milliseconds: number): [seconds: number, nanoseconds: number] => [
  Math.floor(milliseconds / 1000),
  (milliseconds % 1000) * 1_000_000,
];

function errorTypeOf(error: unknown): string {
  if (error instanceof TemporalFailure) return reasonOf(error).type;
  return error instanceof Error ? error.name : 'Error';
}
