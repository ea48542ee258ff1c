import { Metadata, status, type Interceptor } from '@grpc/grpc-js';

/**
 * Rejects a call on a closed connection with `CANCELLED`. Must come after the retry interceptor of the SDK: this one
 * retries in a timer, where an exception of the closed channel would end the process.
 */
export const rejectOnClosedConnection: Interceptor = (options, nextCall) => {
  try {
    return nextCall(options);
  } catch (error) {
    if (!/channel has been shut down/i.test(String(error))) throw error;
    return {
      start(_metadata, listener) {
        listener?.onReceiveStatus?.({
          code: status.CANCELLED,
          details: 'the connection to Temporal is closed',
          metadata: new Metadata(),
        });
      },
      sendMessage: () => undefined,
      sendMessageWithContext: () => undefined,
      startRead: () => undefined,
      halfClose: () => undefined,
      cancelWithStatus: () => undefined,
      getPeer: () => '',
      getAuthContext: () => null,
    };
  }
};
