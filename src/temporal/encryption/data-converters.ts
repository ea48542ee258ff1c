import { fileURLToPath } from 'node:url';
import type { DataConverter, LoadedDataConverter } from '@temporalio/common';
import { failureConverter as boundedFailureConverter } from '../payloads/bounded-failure-converter.js';
import { payloadConverter } from '../payloads/payload-converter.js';
import { createPayloadCodec, createWorkerCodec, type EncryptionOptions } from './codec.js';
import { failureConverter as encryptingFailureConverter } from './encrypting-failure-converter.js';

/** Creates the data converter of clients. */
export function createClientDataConverter(encryption: EncryptionOptions): LoadedDataConverter {
  return {
    payloadConverter,
    failureConverter: encryption.keys.length ? encryptingFailureConverter : boundedFailureConverter,
    payloadCodecs: [createPayloadCodec(encryption)],
  };
}

/**
 * Creates the data converter of workers. The converter in the workflow sandbox comes from the bundle, which must have
 * the variant `encrypted` when keys are set.
 */
export function createWorkerDataConverter(encryption: EncryptionOptions): DataConverter {
  return {
    payloadCodecs: [createWorkerCodec(createPayloadCodec(encryption))],
    payloadConverterPath: modulePath('../payloads/payload-converter'),
    failureConverterPath: modulePath(
      encryption.keys.length ? './encrypting-failure-converter' : '../payloads/bounded-failure-converter',
    ),
  };
}

/** Workers need paths, because the SDK loads their converters itself. */
function modulePath(module: string): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`${module}.${extension}`, import.meta.url));
}
