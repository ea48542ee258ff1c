/**
 * Maximum body in bytes. An order at its limits takes a tenth of it, and a Temporal payload may be eight times as
 * large.
 */
export const MAX_BODY_BYTES = 256 * 1024;

/** Maximum body for the codec: a message to Temporal has at most 4 MiB, and base64 makes it a third longer. */
export const MAX_CODEC_BODY_BYTES = 8 * 1024 * 1024;

export const MAX_HEADER_BYTES = 16 * 1024;

/** Maximum length of a path parameter. The token of a link has about 300 characters, at its limits about 450. */
export const MAX_PARAM_LENGTH = 1_000;

/** A request that is not received completely within this time is cut. An upload has longer. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** A request without a response within this time gets a 503, because a dependency hangs. An upload has longer. */
export const HANDLER_TIMEOUT_MS = 30_000;

/** How long the API reads and discards the rest of a request that it has already answered. */
export const DRAIN_TIMEOUT_MS = 10_000;

export const UPLOAD_TIMEOUT_MS = 24 * 60 * 60_000;
