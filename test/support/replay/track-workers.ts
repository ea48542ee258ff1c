import { Worker } from '@temporalio/worker';
import { trackRun } from './run-tracker.js';

/**
 * Tracks each run that a worker of this process advances, regardless of what started the run. The SDK has no hook for
 * this, so this module wraps an internal method of the worker.
 */
const handleActivation = Worker.prototype['handleActivation'];

Worker.prototype['handleActivation'] = async function (...activation) {
  const handled = await handleActivation.apply(this, activation);
  // A replay worker has no client.
  if (handled.state && this.client) trackActivation(this, this.client, handled.state.info);
  return handled;
};

type ActivationInfo = NonNullable<Awaited<ReturnType<typeof handleActivation>>['state']>['info'];

function trackActivation(
  { options }: Worker,
  client: NonNullable<Worker['client']>,
  { workflowId, runId, workflowType }: ActivationInfo,
) {
  const { workflowBundle, loadedDataConverter, taskQueue } = options;
  if (!workflowBundle)
    throw new Error(`the worker on ${taskQueue} needs a workflowBundle, because its runs are replayed`);
  const { payloadCodecs } = loadedDataConverter;
  trackRun(client, { workflowId, runId, workflowType }, { workflowBundle, payloadCodecs });
}
