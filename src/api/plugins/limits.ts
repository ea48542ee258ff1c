/** Largest body in bytes: an order at its limits is a tenth of it, and a Temporal payload may be eight times as large. */
export const BODY_LIMIT = 256 * 1024;

/** Of payloads for the codec: a message to Temporal has 4 MiB at most, and base64 makes it a third longer. */
export const CODEC_BODY_LIMIT = 8 * 1024 * 1024;

export const MAX_HEADER_BYTES = 16 * 1024;

/** The token of a link has about 300 characters, at its limits about 450. */
export const MAX_PARAM_LENGTH = 1_000;

/** A request that is not received whole by then is cut; an upload has longer. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** A request that is not answered by then gets a 503: something that it waits for stands still. An upload has longer. */
export const HANDLER_TIMEOUT_MS = 30_000;

/** How long the rest of a request that is answered already is taken from a client. */
export const DISCARD_MS = 10_000;

export const UPLOAD_TIMEOUT_MS = 24 * 60 * 60_000;
