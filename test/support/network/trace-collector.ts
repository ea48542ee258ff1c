import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { waitUntil } from '../processes.js';

/** A received span. */
export interface Span {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  /** The service name from the span's resource: the process that created the span. */
  service: string;
  instance: string;
  attributes: Record<string, unknown>;
  /** The OTLP status code. The code 2 means error. */
  status: number;
}

/** A fake trace collector that receives OTLP over HTTP as JSON. */
export interface TraceCollector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: Span[];
  /** The unparsed request bodies. */
  bodies: string[];
  apiKeys: Set<string | string[] | undefined>;
  /** Waits for a span for which `expected` returns true. */
  waitForSpan: (what: string, expected: (span: Span) => boolean) => Promise<Span>;
  close: () => Promise<void>;
}

interface OtlpTraceRequest {
  resourceSpans: {
    resource: { attributes: OtlpAttribute[] };
    scopeSpans: {
      spans: (Pick<Span, 'traceId' | 'spanId' | 'parentSpanId' | 'name'> & {
        attributes: OtlpAttribute[];
        status: { code?: number };
      })[];
    }[];
  }[];
}

interface OtlpAttribute {
  key: string;
  value: Record<string, unknown>;
}

export async function startTraceCollector(): Promise<TraceCollector> {
  const spans: Span[] = [];
  const bodies: string[] = [];
  const keys = new Set<string | string[] | undefined>();
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      bodies.push(body);
      keys.add(request.headers['api-key']);
      if (request.url === '/v1/traces') spans.push(...spansOf(JSON.parse(body) as OtlpTraceRequest));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies,
    apiKeys: keys,
    waitForSpan: (what, expected) =>
      waitUntil(() => spans.find(expected), { description: `the span ${what}`, timeoutMs: 30_000 }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function spansOf({ resourceSpans }: OtlpTraceRequest): Span[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const of = attributeValues(resource.attributes);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId, parentSpanId, name, attributes, status }) => ({
        traceId,
        spanId,
        parentSpanId,
        name,
        service: String(of['service.name']),
        instance: String(of['service.instance.id']),
        attributes: attributeValues(attributes),
        status: status.code ?? 0,
      })),
    );
  });
}

function attributeValues(attributes: OtlpAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
