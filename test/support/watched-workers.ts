import { Worker } from '@temporalio/worker';
import { hasGoneOn } from './replays.js';

/**
 * Records each run that a worker of this process advances, whatever started it: a client, the API, the command line, a
 * parent, the previous run. The SDK has no hook for this, so its own method is wrapped.
 */
const handleActivation = Worker.prototype['handleActivation'];

Worker.prototype['handleActivation'] = async function (...activation) {
  const handled = await handleActivation.apply(this, activation);
  // A worker that replays has no client.
  if (handled.state && this.client) note(this, this.client, handled.state.info);
  return handled;
};

type Info = NonNullable<Awaited<ReturnType<typeof handleActivation>>['state']>['info'];

function note({ options }: Worker, client: NonNullable<Worker['client']>, { workflowId, runId, workflowType }: Info) {
  const { workflowBundle, loadedDataConverter, taskQueue } = options;
  if (!workflowBundle) throw new Error(`the worker on ${taskQueue} needs a workflowBundle: what it runs is replayed`);
  const { payloadCodecs } = loadedDataConverter;
  hasGoneOn(client, { workflowId, runId, type: workflowType }, { workflowBundle, payloadCodecs });
}
