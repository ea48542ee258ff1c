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
import { hasIllFormedText, isNestedDeeper, MAX_JSON_DEPTH, wellFormedJson } from './json.js';

/** The most bytes that a value may take when it is written again; Temporal takes 2 MiB with what stands beside it. */
const MAX_WRITTEN_BYTES = 1_900_000;

/** `1e20` is the worst case: 4 characters that `JSON.stringify` writes as 21. */
const MAX_GROWTH = 6;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * JSON with bounds. Reads only what can be written again and what every reader can take: UTF-8, at most `MAX_JSON_DEPTH`
 * levels, no NUL and no lone surrogate. Writes U+FFFD in their place.
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
      data: encoder.encode(wellFormedJson(json)),
    };
  }

  /** @throws ValueError, or what TextDecoder and JSON.parse throw. */
  fromPayload<T>({ data }: Payload): T {
    if (!data) throw new ValueError('the payload has no data');
    const json = decoder.decode(data);
    if (isNestedDeeper(json, MAX_JSON_DEPTH)) {
      throw new ValueError(`the payload is nested deeper than ${MAX_JSON_DEPTH} levels`);
    }
    const value: unknown = JSON.parse(json);
    if (hasIllFormedText(value, json)) throw new ValueError('the payload holds NUL or a lone surrogate');
    if (data.length * MAX_GROWTH > MAX_WRITTEN_BYTES && bytesOf(value) > MAX_WRITTEN_BYTES) {
      throw new ValueError('the payload is too large to be written again');
    }
    return value as T;
  }
}

const bytesOf = (value: unknown): number => encoder.encode(JSON.stringify(value)).length;

/** By this name the SDK looks for it, in the worker; clients have it, too. */
export const payloadConverter = new CompositePayloadConverter(
  new UndefinedPayloadConverter(),
  new BinaryPayloadConverter(),
  new BoundedJsonConverter(),
);
