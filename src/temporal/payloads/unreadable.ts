import { MAX_JSON_DEPTH } from './json.js';

/** What a workflow sees in place of a payload from outside that cannot be read: a value that no parser accepts. */
export const UNREADABLE = 'unreadable payload';

/** What is wrong with an unreadable payload, for the failure that ends the workflow. */
export const UNREADABLE_DETAIL = `cannot be read: the payload must be JSON (encoding json/plain) in UTF-8, nested at most ${MAX_JSON_DEPTH} levels, without NUL and lone surrogates`;
