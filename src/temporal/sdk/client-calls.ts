/** What the SDK's client does around a gRPC call: run its interceptors, and convert the response. */
export { executionInfoFromRaw } from '@temporalio/client/lib/helpers.js';
export { composeInterceptors } from '@temporalio/common/lib/interceptors.js';
