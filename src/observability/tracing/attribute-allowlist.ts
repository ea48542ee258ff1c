import type { Attributes } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { truncateText } from '../../text/well-formed-text.js';

/**
 * The attributes that may be exported. All other attributes are dropped, because libraries record URLs, addresses,
 * users and messages.
 */
const ALLOWED_ATTRIBUTES = new Set([
  'http.request.method',
  'http.route',
  'http.response.status_code',
  'error.type',
  'http.method',
  'http.status_code',
  'server.address',
  'server.port',
  'network.protocol.version',
  'db.system',
  'db.system.name',
  'db.name',
  'db.namespace',
  'db.operation.name',
  'db.statement',
  'db.query.text',
  'temporalWorkflowId',
  'run_id',
  'temporalActivityId',
  'workflowType',
  'taskQueue',
  'attempt',
]);

/** The maximum length of a text attribute. The SQL of an insert with a thousand rows consists mostly of repetitions. */
const MAX_ATTRIBUTE_LENGTH = 500;

/** Wraps an exporter so that it exports only allowed attributes: no messages, stack traces or values. */
export function withAllowedAttributes(exporter: SpanExporter): SpanExporter {
  return {
    export: (spans, done) => exporter.export(spans.map(redactSpan), done),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}

function redactSpan(span: ReadableSpan): ReadableSpan {
  return Object.create(span, {
    name: { value: truncateText(span.name, MAX_ATTRIBUTE_LENGTH) },
    attributes: { value: filterAttributes(span.attributes) },
    status: { value: { code: span.status.code } },
    events: { value: [] },
    links: { value: span.links.map(({ context }) => ({ context })) },
  }) as ReadableSpan;
}

function filterAttributes(attributes: Attributes): Attributes {
  const entries = Object.entries(attributes).filter(([name]) => ALLOWED_ATTRIBUTES.has(name));
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      typeof value === 'string' ? truncateText(value, MAX_ATTRIBUTE_LENGTH) : value,
    ]),
  );
}
