import type { Headers } from '@temporalio/common';
import { payloadConverter } from '../../temporal/payloads/payload-converter.js';

/**
 * Returns the value of a header, or undefined when the header is missing or unreadable. Any client can set the header,
 * and an error thrown here would fail the workflow task forever.
 */
export function readHeader(headers: Headers, name: string): unknown {
  const header = headers[name];
  if (!header) return undefined;
  try {
    return payloadConverter.fromPayload(header);
  } catch {
    return undefined;
  }
}
