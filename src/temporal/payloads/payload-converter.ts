import {
  BinaryPayloadConverter,
  CompositePayloadConverter,
  encodingKeys,
  encodingTypes,
  METADATA_ENCODING_KEY,
  UndefinedPayloadConverter,
  ValueError,
  type Payload,
  type PayloadConverterWithEncoding,
} from '@temporalio/common';
import { hasIllFormedText, isNestedDeeperThan, MAX_JSON_DEPTH, toWellFormedJson } from '../../text/json-limits.js';

/** The maximum size of a value after it is encoded again. Temporal allows 2 MiB, including the surrounding data. */
const MAX_REENCODED_BYTES = 1_900_000;

/**
 * How much a value can grow when it is encoded again. The worst case is `1e20`: `JSON.stringify` writes these 4
 * characters as 21.
 */
const MAX_GROWTH_FACTOR = 6;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Converts JSON within limits. Reads only values that can be encoded again and that every reader accepts: UTF-8, at
 * most `MAX_JSON_DEPTH` levels, no NUL and no lone surrogates. Writes U+FFFD instead of NUL and lone surrogates.
 */
class BoundedJsonConverter implements PayloadConverterWithEncoding {
  readonly encodingType = encodingTypes.METADATA_ENCODING_JSON;

  toPayload(value: unknown): Payload | undefined {
    let json: string | undefined;
    try {
      json = JSON.stringify(value);
    } catch {
      return undefined;
    }
    if (json === undefined) return undefined;
    return {
      metadata: { [METADATA_ENCODING_KEY]: encodingKeys.METADATA_ENCODING_JSON },
      data: encoder.encode(toWellFormedJson(json)),
    };
  }

  /** @throws ValueError, and errors of TextDecoder and JSON.parse. */
  fromPayload<T>({ data }: Payload): T {
    if (!data) throw new ValueError('the payload has no data');
    const json = decoder.decode(data);
    if (isNestedDeeperThan(json, MAX_JSON_DEPTH)) {
      throw new ValueError(`the payload is nested deeper than ${MAX_JSON_DEPTH} levels`);
    }
    const value: unknown = JSON.parse(json);
    if (hasIllFormedText(value, json)) throw new ValueError('the payload contains NUL or a lone surrogate');
    if (data.length * MAX_GROWTH_FACTOR > MAX_REENCODED_BYTES && jsonByteLength(value) > MAX_REENCODED_BYTES) {
      throw new ValueError('the payload would be too large when encoded again');
    }
    return value as T;
  }
}

const jsonByteLength = (value: unknown): number => encoder.encode(JSON.stringify(value)).length;

/** In the worker, the SDK loads this export by its name. Clients use it too. */
export const payloadConverter = new CompositePayloadConverter(
  new UndefinedPayloadConverter(),
  new BinaryPayloadConverter(),
  new BoundedJsonConverter(),
);
