/**
 * Re-exports parts of the SDK's OpenTelemetry package. The index of that package is not imported, because it loads the
 * OpenTelemetry SDK for workflows.
 */
export { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry-v2/lib/client/index.js';
export {
  makeWorkflowExporter,
  OpenTelemetryActivityInboundInterceptor,
} from '@temporalio/interceptors-opentelemetry-v2/lib/worker/index.js';
