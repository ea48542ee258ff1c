import type { Tracing, TracingConfig, TracingOptions } from './tracing.js';

/** Whether the standard variables turn on tracing: an exporter or an endpoint is set. */
export function isTracingEnabled(config: TracingConfig): boolean {
  const { OTEL_TRACES_EXPORTER: exporter, OTEL_SDK_DISABLED: isDisabled } = config;
  if (isDisabled || exporter === 'none') return false;
  const endpoint = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT;
  return exporter !== undefined || endpoint !== undefined;
}

/**
 * Starts tracing. Call it only once per process. When tracing is off, returns undefined and loads no OpenTelemetry
 * code.
 */
export async function startTracing(config: TracingConfig, options: TracingOptions): Promise<Tracing | undefined> {
  if (!isTracingEnabled(config)) return undefined;
  const { startOpenTelemetry } = await import('./otel.js');
  return startOpenTelemetry(config, options);
}
