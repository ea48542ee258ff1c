import { MAX_JSON_DEPTH } from '../../text/json-limits.js';

/** Replaces an unreadable payload from a client in a workflow. No schema accepts this value. */
export const UNREADABLE_VALUE = 'unreadable payload';

/** The problem of an unreadable payload, for the failure that ends the workflow. */
export const UNREADABLE_VALUE_DETAIL = `cannot be read: the payload must be JSON (encoding json/plain) in UTF-8, nested at most ${MAX_JSON_DEPTH} levels, without NUL and lone surrogates`;
