import { log, setHandler } from '@temporalio/workflow';
import { batchQuery, pauseSignal, pauseStateSignal, resumeSignal } from './contract.js';
import { isPauseState } from './shard-input.js';
import type { Shard } from './shard.js';
import type { BatchState } from './state.js';

/** Registers the handlers of a batch. A pause that arrives before the batch opens takes effect when the batch opens. */
export function registerHandlers(state: BatchState): void {
  setHandler(batchQuery, () => state.view);
  setHandler(pauseSignal, () => state.setPaused(true));
  setHandler(resumeSignal, () => state.setPaused(false));
}

/** Registers the handler of a shard. Any client can send the signal, so the handler validates the argument. */
export function registerShardHandlers(shard: Shard): void {
  setHandler(pauseStateSignal, (pauseState) => {
    if (isPauseState(pauseState)) shard.applyPauseState(pauseState);
    else log.warn('ignored a malformed pause state');
  });
}
