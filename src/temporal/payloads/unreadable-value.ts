import { MAX_JSON_DEPTH } from '../../text/json-limits.js';

/** The value that a workflow gets instead of an unreadable payload of a client. No schema accepts this value. */
export const UNREADABLE_VALUE = 'unreadable payload';

/** The problem text for an unreadable payload, in the failure that ends the workflow. */
export const UNREADABLE_VALUE_DETAIL = `cannot be read: the payload must be JSON (encoding json/plain) in UTF-8, nested at most ${MAX_JSON_DEPTH} levels, without NUL and lone surrogates`;
