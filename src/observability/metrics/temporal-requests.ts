import { InterceptingCall, status, type Interceptor } from '@grpc/grpc-js';
import { Counter, Histogram, type Registry } from 'prom-client';

/**
 * Measures the requests of this process to Temporal, under the metric names of the SDK's workers. The label `operation`
 * is the gRPC method, so the number of series is bounded.
 */
export function createRequestMetricsInterceptor(registry: Registry): Interceptor {
  const registers = [registry];
  const requests = new Counter({
    name: 'temporal_request_total',
    help: 'Requests to Temporal; each attempt counts',
    labelNames: ['operation'],
    registers,
  });
  const failures = new Counter({
    name: 'temporal_request_failure_total',
    help: 'Failed requests to Temporal; each attempt counts',
    labelNames: ['operation', 'status_code'],
    registers,
  });
  const latency = new Histogram({
    name: 'temporal_request_latency_seconds',
    help: 'Time until Temporal responded',
    labelNames: ['operation'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  return (options, nextCall) => {
    const operation = options.method_definition.path.split('/').at(-1)!;
    const observeLatency = latency.startTimer({ operation });
    requests.inc({ operation });
    return new InterceptingCall(nextCall(options), {
      start(metadata, _listener, next) {
        next(metadata, {
          onReceiveStatus(result, forward) {
            observeLatency();
            if (result.code !== status.OK) failures.inc({ operation, status_code: status[result.code] });
            forward(result);
          },
        });
      },
    });
  };
}
