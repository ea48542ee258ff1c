import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { globalHandlers } from '@temporalio/worker/lib/workflow/vm-shared.js';

/**
 * Silences the warnings of the SDK's runtime, because tests provoke failures and check only their outcomes. A process
 * has only one runtime.
 */
Runtime.install({
  logger: new DefaultLogger('ERROR'),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }), forward: {} } },
});

/**
 * Turns off the stack trace of each promise, which only the stack trace query needs. In debug mode, the SDK would record
 * a trace for every promise of the main thread. That takes a third of the CPU time of a test.
 */
globalHandlers['setPromiseHook'] = () => undefined;
