import { fileURLToPath } from 'node:url';
import {
  defaultFailureConverter,
  defaultPayloadConverter,
  type DataConverter,
  type LoadedDataConverter,
} from '@temporalio/common';
import { createPayloadCodec, tolerant, type Encryption } from './codec.js';
import { failureConverter } from './failure-converter.js';

/** How a client reads and writes payloads and failures. */
export function clientDataConverter(encryption: Encryption): LoadedDataConverter {
  return {
    payloadConverter: defaultPayloadConverter,
    failureConverter: encryption.keys.length ? failureConverter : defaultFailureConverter,
    payloadCodecs: [createPayloadCodec(encryption)],
  };
}

/** How a worker does. In the workflow sandbox there is what its bundle has: `encrypted` when there are keys. */
export function workerDataConverter(encryption: Encryption): DataConverter {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return {
    payloadCodecs: [tolerant(createPayloadCodec(encryption))],
    ...(encryption.keys.length && {
      failureConverterPath: fileURLToPath(new URL(`./failure-converter.${extension}`, import.meta.url)),
    }),
  };
}
