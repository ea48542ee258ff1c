import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  RetryState,
  type TemporalFailure,
} from '@temporalio/common';
import { CancellationScope } from '@temporalio/workflow';
import { RootCancellationScope } from '@temporalio/workflow/lib/cancellation-scope.js';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { PointOfNoReturn, Saga, type Compensation, type SagaObserver } from '../../../src/workflows/shared/saga.js';

// These tests run the saga outside a workflow, with the SDK's cancellation scopes. saga-in-workflow.test.ts runs the
// saga in a workflow.

const noRoute = ApplicationFailure.create({ message: 'no route' });

/** Creates an observer that records its calls. `onStuck` returns the `responses` in order. */
function createObserver(responses: ('retry' | 'skip')[] = []) {
  const calls: unknown[][] = [];
  const observer: SagaObserver = {
    onCompensation: (name, status) => void calls.push([name, status]),
    onStuck: async (name, failure) => {
      calls.push([name, 'stuck', failure]);
      return responses.shift()!;
    },
  };
  return { calls, observer };
}

const makeCompensation = (name: string, run: Compensation['run'] = async () => undefined) => ({
  name,
  run: vi.fn(run),
});
const failWith = (error: Error) => () => Promise.reject(error);
const doNothing = async () => undefined;

/** Runs a function in a root cancellation scope, as the SDK runs the main function of a workflow. */
const inWorkflow = <T>(run: () => Promise<T>): Promise<T> => new RootCancellationScope().run(run);
const compensate = (saga: Saga) => inWorkflow(() => saga.compensate());

describe('a saga step', () => {
  test('a successful saga step returns its result and runs no compensation', async () => {
    const saga = new Saga(createObserver().observer);
    const compensation = makeCompensation('compensation');

    expect(await saga.runStep(async () => 'answer', compensation)).toBe('answer');

    expect(compensation.run).not.toHaveBeenCalled();
  });

  test('a failed saga step throws its failure and can be compensated', async () => {
    const saga = new Saga(createObserver().observer);
    const compensation = makeCompensation('compensation');

    await expect(saga.runStep(failWith(noRoute), compensation)).rejects.toBe(noRoute);

    expect(await compensate(saga)).toBe(true);
    expect(compensation.run).toHaveBeenCalledOnce();
  });

  test('a saga step is compensated even if the compensation starts during the step', async () => {
    const saga = new Saga(createObserver().observer);
    const compensation = makeCompensation('compensation');

    await saga.runStep(() => compensate(saga), compensation);

    expect(compensation.run).toHaveBeenCalledOnce();
  });
});

describe('compensation', () => {
  /** A compensation that fails and is retried `failures` times, and then ends with `end`. */
  const history = fc.record({ failures: fc.nat(3), end: fc.constantFrom('completed', 'skipped', 'rejected') });

  test('compensate runs the compensations of any steps in reverse order and reports each status', async () => {
    const property = fc.asyncProperty(fc.array(history, { maxLength: 6 }), async (histories) => {
      const responses: ('retry' | 'skip')[] = [];
      const expected: unknown[][] = [];
      const returned: boolean[] = [];
      for (const [index, { failures, end }] of [...histories.entries()].reverse()) {
        const name = `compensation ${index}`;
        const stuck = Array.from({ length: failures + Number(end === 'skipped') }, () => [
          [name, 'started'],
          [name, 'stuck', noRoute],
        ]);
        expected.push(...stuck.flat(), ...(end === 'skipped' ? [] : [[name, 'started']]), [name, end]);
        responses.push(...Array<'retry'>(failures).fill('retry'), ...(end === 'skipped' ? (['skip'] as const) : []));
        if (end === 'rejected') returned.push(false);
      }
      returned.push(true);

      const { calls, observer } = createObserver(responses);
      const saga = new Saga(observer);
      for (const [index, { failures, end }] of histories.entries()) {
        let turns = 0;
        await saga.runStep(doNothing, {
          isBlocking: true,
          ...makeCompensation(`compensation ${index}`, async () => {
            if ((turns += 1) <= failures || end === 'skipped') throw noRoute;
            if (end === 'rejected') throw new PointOfNoReturn();
          }),
        });
      }

      for (const response of returned) expect(await compensate(saga)).toBe(response);
      expect(calls).toEqual(expected);
    });
    await fc.assert(property);
  });

  test('runs older compensations while a newer compensation is stuck, and then waits for the stuck compensation', async () => {
    const decisions: ((action: 'retry' | 'skip') => void)[] = [];
    const saga = new Saga({ onStuck: () => new Promise((resolve) => decisions.push(resolve)) });
    const [oldest, older] = [makeCompensation('oldest'), makeCompensation('older')];
    let attempts = 0;
    await saga.runStep(doNothing, oldest);
    await saga.runStep(doNothing, older);
    await saga.runStep(
      doNothing,
      makeCompensation('newest', async () => {
        if ((attempts += 1) === 1) throw noRoute;
      }),
    );

    const compensated = compensate(saga);
    await vi.waitFor(() => expect(oldest.run).toHaveBeenCalledOnce());
    const isDone = await Promise.race([compensated, new Promise((resolve) => setImmediate(() => resolve('parked')))]);
    decisions[0]!('retry');

    expect(isDone).toBe('parked');
    expect(await compensated).toBe(true);
    expect(attempts).toBe(2);
    expect(older.run).toHaveBeenCalledOnce();
  });

  test('does not run older compensations while a blocking compensation is stuck', async () => {
    const decisions: ((action: 'retry' | 'skip') => void)[] = [];
    const saga = new Saga({ onStuck: () => new Promise((resolve) => decisions.push(resolve)) });
    const older = makeCompensation('older');
    await saga.runStep(doNothing, older);
    await saga.runStep(doNothing, { ...makeCompensation('gate', failWith(noRoute)), isBlocking: true });

    const compensated = compensate(saga);
    await vi.waitFor(() => expect(decisions).toHaveLength(1));
    await new Promise(setImmediate);
    const before = older.run.mock.calls.length;
    decisions[0]!('skip');

    expect(before).toBe(0);
    expect(await compensated).toBe(true);
    expect(older.run).toHaveBeenCalledOnce();
  });

  test('compensate returns true if there is nothing to compensate', async () => {
    const { calls, observer } = createObserver();

    expect(await compensate(new Saga(observer))).toBe(true);
    expect(calls).toEqual([]);
  });

  test('runs each compensation once when compensate is called twice at the same time', async () => {
    const saga = new Saga(createObserver().observer);
    const compensations = ['a', 'b', 'c'].map((name) => makeCompensation(name));
    for (const compensation of compensations) await saga.runStep(doNothing, compensation);

    expect(await Promise.all([compensate(saga), compensate(saga)])).toEqual([true, true]);

    for (const { run } of compensations) expect(run).toHaveBeenCalledOnce();
  });

  test('runs an older compensation only after the newer compensation has ended', async () => {
    const saga = new Saga(createObserver().observer);
    const older = makeCompensation('older');
    let end = () => {};
    await saga.runStep(doNothing, older);
    await saga.runStep(
      doNothing,
      makeCompensation('newer', () => new Promise<void>((resolve) => (end = resolve))),
    );

    const compensated = compensate(saga);
    await new Promise(setImmediate);
    expect(older.run).not.toHaveBeenCalled();
    end();
    await compensated;

    expect(older.run).toHaveBeenCalledOnce();
  });

  test('does not run compensations whose names were unregistered', async () => {
    const { calls, observer } = createObserver();
    const saga = new Saga(observer);
    for (const name of ['a', 'b', 'a', 'c']) await saga.runStep(doNothing, makeCompensation(name));

    saga.unregister('a', 'c', 'unknown');
    await compensate(saga);

    expect(calls).toEqual([
      ['b', 'started'],
      ['b', 'completed'],
    ]);
  });

  test("shields compensations and onStuck from the workflow's cancellation", async () => {
    const scopes: CancellationScope[] = [];
    const saga = new Saga({
      onStuck: async () => {
        scopes.push(CancellationScope.current());
        return 'retry';
      },
    });
    await saga.runStep(
      doNothing,
      makeCompensation('compensation', async () => {
        scopes.push(CancellationScope.current());
        if (scopes.length === 1) throw noRoute;
      }),
    );
    const workflow = new RootCancellationScope();

    const compensated = workflow.run(async () => {
      workflow.cancel();
      return await saga.compensate();
    });

    expect(await compensated).toBe(true);
    expect(workflow.consideredCancelled).toBe(true);
    // The compensation, onStuck and the retried compensation record one scope each.
    expect(scopes).toHaveLength(3);
    for (const scope of scopes) expect(scope).toMatchObject({ cancellable: false, consideredCancelled: false });
  });
});

describe('a compensation that fails', () => {
  test.each<[string, TemporalFailure]>([
    ['fails', noRoute],
    ['is cancelled', new CancelledFailure('stop')],
    ['has an activity that fails', new ActivityFailure('no', 'refund', '1', RetryState.TIMEOUT, 'worker', noRoute)],
  ])('asks the observer for a decision about a compensation that %s', async (_description, failure) => {
    const { calls, observer } = createObserver(['skip']);
    const saga = new Saga(observer);
    await saga.runStep(doNothing, makeCompensation('compensation', failWith(failure)));

    expect(await compensate(saga)).toBe(true);

    expect(calls).toEqual([
      ['compensation', 'started'],
      ['compensation', 'stuck', failure],
      ['compensation', 'skipped'],
    ]);
    expect(calls[1]![2]).toBe(failure);
  });

  test('a bug in a compensation makes compensate throw, without a call of onStuck or of older compensations', async () => {
    const { calls, observer } = createObserver();
    const saga = new Saga(observer);
    const older = makeCompensation('older');
    const bug = new TypeError('undefined is not a function');
    await saga.runStep(doNothing, older);
    await saga.runStep(doNothing, makeCompensation('compensation', failWith(bug)));

    await expect(compensate(saga)).rejects.toBe(bug);

    expect(calls).toEqual([['compensation', 'started']]);
    expect(older.run).not.toHaveBeenCalled();
  });

  test('drops a compensation that throws PointOfNoReturn, and runs the older compensations in the next call', async () => {
    const saga = new Saga(createObserver().observer);
    const [older, failing] = [
      makeCompensation('older'),
      makeCompensation('compensation', failWith(new PointOfNoReturn())),
    ];
    await saga.runStep(doNothing, older);
    await saga.runStep(doNothing, failing);

    expect(await compensate(saga)).toBe(false);
    expect(older.run).not.toHaveBeenCalled();

    expect(await compensate(saga)).toBe(true);
    expect(older.run).toHaveBeenCalledOnce();
    expect(failing.run).toHaveBeenCalledOnce();
  });

  test('PointOfNoReturn is shown with its name and message', () => {
    expect(String(new PointOfNoReturn('the parcel has left'))).toBe('PointOfNoReturn: the parcel has left');
  });

  test('a saga works without an onCompensation observer', async () => {
    const saga = new Saga({ onStuck: async () => 'skip' });
    const compensations = [
      makeCompensation('works'),
      makeCompensation('refuses', failWith(new PointOfNoReturn())),
      makeCompensation('fails', failWith(noRoute)),
    ];
    for (const compensation of compensations) await saga.runStep(doNothing, compensation);

    expect(await compensate(saga)).toBe(false);
    expect(await compensate(saga)).toBe(true);

    for (const { run } of compensations) expect(run).toHaveBeenCalledOnce();
  });
});
