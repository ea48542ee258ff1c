/**
 * Maximum size of a request body in bytes. The largest valid order has a tenth of this size. The payload limit of
 * Temporal is eight times this size.
 */
export const MAX_BODY_BYTES = 256 * 1024;

/** Maximum size of a request body for the codec. A message to Temporal has at most 4 MiB, and base64 adds a third. */
export const MAX_CODEC_BODY_BYTES = 8 * 1024 * 1024;

export const MAX_HEADER_BYTES = 16 * 1024;

/**
 * Maximum length of a path parameter. The longest parameter is the token of a link: usually about 300 characters, and
 * about 450 if all its fields have their maximum length.
 */
export const MAX_PARAM_LENGTH = 1_000;

/** Maximum time to receive a request completely. For an upload, `UPLOAD_TIMEOUT_MS` applies instead. */
export const REQUEST_TIMEOUT_MS = 10_000;
/**
 * Maximum time until the response. After this time, the API returns 503, because a dependency hangs. For an upload,
 * `UPLOAD_TIMEOUT_MS` applies instead.
 */
export const HANDLER_TIMEOUT_MS = 30_000;

/** How long the API reads and discards the rest of a request that it has already answered. */
export const DRAIN_TIMEOUT_MS = 10_000;

export const UPLOAD_TIMEOUT_MS = 24 * 60 * 60_000;

/** Maximum time of an event stream. The client then connects again. */
export const STREAM_TIMEOUT_MS = 24 * 60 * 60_000;
