/** Conversions between a history and its JSON form, the form of `temporal workflow show --output json`. */
export { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
