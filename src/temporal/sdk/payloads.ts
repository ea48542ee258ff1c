/** Encoding and decoding of payloads and failures with a client's data converter, which the SDK's public API lacks. */
export {
  decodeArrayFromPayloads,
  decodeMapFromPayloads,
  decodeOptionalFailureToOptionalError,
  encodeToPayloads,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
