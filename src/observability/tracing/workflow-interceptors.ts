import { ApplicationFailure, defaultPayloadConverter, TemporalFailure, type Headers } from '@temporalio/common';
import type { OpenTelemetrySinks } from '@temporalio/interceptors-opentelemetry-v2';
import { DeterministicIdGenerator } from '@temporalio/interceptors-opentelemetry-v2/lib/workflow/id-generator.js';
import {
  AsyncLocalStorage,
  ContinueAsNew,
  isCancellation,
  proxySinks,
  workflowInfo,
  type WorkflowInterceptors,
} from '@temporalio/workflow';
import { reasonOf } from '../../workflows/shared/failures.js';
import { BEGUN_BY_WORKFLOW, carrierIn, TRACE_HEADER, type Carrier } from './carrier.js';

/**
 * Spans of workflows. Created in the sandbox and exported through a sink, which does nothing during replay. Writes the
 * headers and generates the ids of @temporalio/interceptors-opentelemetry-v2. Uses neither that package's workflow
 * interceptors nor the OpenTelemetry SDK, because each cached workflow would hold a copy of them.
 *
 * Switching traces on or off must not change a workflow's behavior, so this code awaits nothing. A span ends beside the
 * call that it measures, and the workflow continues in the same microtask as without tracing. (With that package's
 * interceptors, which await, 8 of the 71 recorded histories do not replay.) Queries and validators have no spans,
 * because they are not replayed and would consume deterministic ids.
 */
export const interceptors = (): WorkflowInterceptors => ({
  inbound: [
    {
      execute: (input, next) => {
        const spot = enter(`RunWorkflow:${workflowInfo().workflowType}`, parentIn(input.headers));
        run ??= spot;
        return during(spot, () => next(input));
      },
      handleSignal: (input, next) =>
        during(enter(`HandleSignal:${input.signalName}`, parentIn(input.headers) ?? run), () => next(input)),
      handleUpdate: (input, next) =>
        during(enter(`HandleUpdate:${input.name}`, parentIn(input.headers) ?? run), () => next(input)),
    },
  ],
  outbound: [
    {
      scheduleActivity: (input, next) => call('StartActivity', input.activityType, input, next),
      startChildWorkflowExecution: (input, next) => call('StartChildWorkflow', input.workflowType, input, next),
      signalWorkflow: (input, next) => call('SignalWorkflow', input.signalName, input, next),
      continueAsNew: (input, next) => call('ContinueAsNew', workflowInfo().workflowType, input, next),
      getLogAttributes: (input, next) => {
        const spot = here.getStore() ?? run;
        return next({ ...input, ...(spot && { traceId: spot.traceId, spanId: spot.spanId }) });
      },
    },
  ],
});

/**
 * Maximum number of spans per parent span and kind of call. It keeps the trace of any batch readable: 20 of its shards,
 * and 20 chunks of each. Further calls carry the trace context for logs but are not sampled.
 */
const SHOWN_OF_A_KIND = 20;

const SAMPLED = 1;
const INTERNAL = 0;
const STATUS = { unset: 0, ok: 1, error: 2 };

/** An open span, sampled or not. */
interface Spot {
  traceId: string;
  spanId: string;
  isSampled: boolean;
  traceState: string | undefined;
  parent: Parent | undefined;
  name: string;
  startedAt: number;
  /** Number of calls by kind. */
  calls: Record<string, number>;
}

type Parent = Pick<Spot, 'traceId' | 'spanId' | 'isSampled' | 'traceState'>;

const ids = new DeterministicIdGenerator();
const here = new AsyncLocalStorage<Spot>();
/** The span of the run, the parent of everything without a trace of its own. */
let run: Spot | undefined;

function enter(name: string, parent: Parent | undefined): Spot {
  return {
    traceId: parent?.traceId ?? ids.generateTraceId(),
    spanId: ids.generateSpanId(),
    isSampled: parent?.isSampled ?? true,
    traceState: parent ? parent.traceState : BEGUN_BY_WORKFLOW,
    parent,
    name,
    startedAt: Date.now(),
    calls: {},
  };
}

function during<T>(spot: Spot, work: () => Promise<T>): Promise<T> {
  const outcome = here.run(spot, work);
  outcome.then(
    () => leave(spot, STATUS.ok),
    (error: unknown) => leave(spot, statusOf(error), error),
  );
  return outcome;
}

/** Creates a span for an outgoing call and passes it on as the parent. */
function call<Input extends { headers: Headers }, T>(
  kind: string,
  type: string,
  input: Input,
  next: (input: Input) => Promise<T>,
): Promise<T> {
  const parent = here.getStore() ?? run;
  if (!parent) return next(input);
  const name = `${kind}:${type}`;
  const calls = (parent.calls[name] = (parent.calls[name] ?? 0) + 1);
  if (calls > SHOWN_OF_A_KIND) return next({ ...input, headers: told(input.headers, { ...parent, isSampled: false }) });
  const spot = enter(name, parent);
  return during(spot, () => next({ ...input, headers: told(input.headers, spot) }));
}

function parentIn(headers: Headers): Parent | undefined {
  const carrier = carrierIn(headers);
  const [, traceId, spanId, flags] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(carrier?.traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, isSampled: (parseInt(flags, 16) & SAMPLED) === SAMPLED, traceState: carrier?.tracestate };
}

function told(headers: Headers, { traceId, spanId, isSampled, traceState }: Parent): Headers {
  const carrier: Carrier = {
    traceparent: `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`,
    ...(traceState !== undefined && { tracestate: traceState }),
  };
  return { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(carrier) };
}

/** Continue-as-new, cancellations and expected rejections are not errors. */
function statusOf(error: unknown): number {
  if (error instanceof ContinueAsNew) return STATUS.ok;
  return isCancellation(error) || (error instanceof ApplicationFailure && error.category === 'BENIGN')
    ? STATUS.unset
    : STATUS.error;
}

function leave(spot: Spot, code: number, error?: unknown): void {
  if (!spot.isSampled) return;
  const isFailure = error !== undefined && !(error instanceof ContinueAsNew);
  const milliseconds = Date.now();
  proxySinks<OpenTelemetrySinks>().exporter.export([
    {
      name: spot.name,
      kind: INTERNAL,
      spanContext: contextOf(spot),
      ...(spot.parent && { parentSpanContext: contextOf(spot.parent) }),
      startTime: timeOf(spot.startedAt),
      endTime: timeOf(milliseconds),
      duration: timeOf(milliseconds - spot.startedAt),
      status: { code },
      attributes: isFailure ? { 'error.type': typeOf(error) } : {},
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

const contextOf = ({ traceId, spanId, isSampled, traceState }: Parent) => ({
  traceId,
  spanId,
  traceFlags: isSampled ? SAMPLED : 0,
  ...(traceState !== undefined && { traceState }),
});

const timeOf = (milliseconds: number): [seconds: number, nanoseconds: number] => [
  Math.floor(milliseconds / 1000),
  (milliseconds % 1000) * 1_000_000,
];

function typeOf(error: unknown): string {
  if (error instanceof TemporalFailure) return reasonOf(error).type;
  return error instanceof Error ? error.name : 'Error';
}
