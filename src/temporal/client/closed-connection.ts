import { InterceptingCall, Metadata, status, type Interceptor } from '@grpc/grpc-js';

/**
 * Rejects a call on a closed connection with `CANCELLED`. Must come after the retry interceptor of the SDK: that one
 * retries in a timer, where the exception of the closed channel would end the process.
 */
export const rejectOnClosedConnection: Interceptor = (options, nextCall) => {
  try {
    return new InterceptingCall(nextCall(options));
  } catch (error) {
    if (!/channel has been shut down/i.test(String(error))) throw error;
    return new InterceptingCall(cancelledCall);
  }
};

const cancelledCall: ConstructorParameters<typeof InterceptingCall>[0] = {
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
