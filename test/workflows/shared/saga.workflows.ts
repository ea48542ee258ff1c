import { ApplicationFailure } from '@temporalio/common';
import { CancellationScope, condition, defineQuery, defineSignal, setHandler, sleep } from '@temporalio/workflow';
import { PointOfNoReturn, Saga } from '../../../src/workflows/shared/saga.js';

type CompensationBehaviour = 'ok' | 'slow' | 'fails' | 'point of no return' | 'bug';

export interface SagaScript {
  steps: {
    name: string;
    /** What the step does after its effect. With `waits`, the step runs until it is cancelled. */
    then?: 'ok' | 'fails' | 'waits';
    /** What the compensation of the step does in each call. Calls without an entry succeed. */
    compensationBehaviours?: CompensationBehaviour[];
    /** Whether older compensations wait for the compensation of this step. */
    isGate?: boolean;
  }[];
  unregister?: string[];
  /** The operator's decisions, one for each call of `onStuck`. Without a decision, `onStuck` waits for a signal. */
  decisions?: ('retry' | 'skip')[];
  /** How often the workflow calls `compensate`. */
  compensateCalls?: number;
}

export const logQuery = defineQuery<string[]>('log');
export const continueSignal = defineSignal('continue');

/** Runs the script with a saga. @returns a log of the steps and compensations. */
export async function runScript({
  steps,
  unregister = [],
  decisions = [],
  compensateCalls = 1,
}: SagaScript): Promise<string[]> {
  const log: string[] = [];
  let mayContinue = false;
  setHandler(logQuery, () => log);
  setHandler(continueSignal, () => void (mayContinue = true));

  const saga = new Saga({
    onCompensation: (name, status) => void log.push(`${name} ${status}`),
    onStuck: async (name, failure) => {
      log.push(`${name} stuck: ${failure.message}`);
      const decision = decisions.shift();
      if (!decision) await condition(() => mayContinue);
      return decision ?? 'skip';
    },
  });

  try {
    for (const { name, then = 'ok', compensationBehaviours = [], isGate = false } of steps) {
      await saga.runStep(
        async () => {
          log.push(name);
          if (then === 'fails') throw ApplicationFailure.create({ message: `${name} failed` });
          if (then === 'waits') await condition(() => false);
        },
        {
          name: `compensate ${name}`,
          run: () => runCompensation(compensationBehaviours.shift() ?? 'ok'),
          isBlocking: isGate,
        },
      );
    }
    saga.unregister(...unregister);
    log.push('all done');
  } catch {
    log.push(CancellationScope.current().consideredCancelled ? 'cancelled' : 'failed');
  }
  for (let call = 0; call < compensateCalls; call++) log.push(`compensate: ${await saga.compensate()}`);
  return log;
}

async function runCompensation(what: CompensationBehaviour): Promise<void> {
  if (what === 'slow') await sleep('1 hour');
  if (what === 'fails') throw ApplicationFailure.create({ message: 'no route' });
  if (what === 'point of no return') throw new PointOfNoReturn();
  if (what === 'bug') throw new TypeError('undefined is not a function');
}
