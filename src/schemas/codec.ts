import { z } from 'zod';

/**
 * The maximum number of payloads in a request. The Web UI and the CLI send the payloads of one event, or of one page of
 * executions.
 */
const MAX_PAYLOADS = 10_000;

const base64 = z
  .string()
  .regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'must be base64')
  .meta({ description: 'Bytes in base64.', examples: ['eyJza3UiOiJNVUcifQ=='] });

const payload = z
  .looseObject({ metadata: z.record(z.string(), base64).optional(), data: base64.optional() })
  .meta({ id: 'Payload', description: 'A Temporal payload in the JSON format of Protobuf.' });

export const payloads = z
  // Optional, because Protobuf omits empty fields.
  .object({ payloads: z.array(payload).max(MAX_PAYLOADS).default([]) })
  .meta({ id: 'Payloads', description: 'A list of payloads. The response has the same order as the request.' });

export type JsonPayload = z.infer<typeof payload>;
