import { fileURLToPath } from 'node:url';
import type { DataConverter, LoadedDataConverter } from '@temporalio/common';
import { failureConverter as boundedFailureConverter } from '../payloads/failure-converter.js';
import { payloadConverter } from '../payloads/payload-converter.js';
import { createPayloadCodec, tolerant, type Encryption } from './codec.js';
import { failureConverter as hidingFailureConverter } from './failure-converter.js';

/** How a client reads and writes payloads and failures. */
export function clientDataConverter(encryption: Encryption): LoadedDataConverter {
  return {
    payloadConverter,
    failureConverter: encryption.keys.length ? hidingFailureConverter : boundedFailureConverter,
    payloadCodecs: [createPayloadCodec(encryption)],
  };
}

/** How a worker does. In the workflow sandbox there is what its bundle has: `encrypted` when there are keys. */
export function workerDataConverter(encryption: Encryption): DataConverter {
  return {
    payloadCodecs: [tolerant(createPayloadCodec(encryption))],
    payloadConverterPath: pathOf('../payloads/payload-converter'),
    failureConverterPath: pathOf(encryption.keys.length ? './failure-converter' : '../payloads/failure-converter'),
  };
}

/** The SDK loads converters of a worker by their path. */
function pathOf(module: string): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`${module}.${extension}`, import.meta.url));
}
