import type { Headers } from '@temporalio/common';
import { payloadConverter } from '../../temporal/payloads/payload-converter.js';

/**
 * What a header says, or undefined where there is none or none that can be read. Anybody may send headers by our names, and
 * an error that is thrown over one fails the workflow task for ever.
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
