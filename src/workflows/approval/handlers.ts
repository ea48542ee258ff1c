import { CancellationScope, condition, log, setHandler } from '@temporalio/workflow';
import type { Decision, WithdrawRequest } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { rejectionFailure } from '../shared/failures.js';
import { validateReasonRequest } from '../shared/arguments.js';
import { approvalQuery, decideSignal, decideUpdate, withdrawUpdate } from './contract.js';
import type { ApprovalState } from './state.js';
import {
  evaluateDecision,
  hasNewComment,
  isTrailFull,
  validateDecision,
  toTrailFields,
  withdrawalRejection,
} from './decisions.js';

/**
 * An update responds once the store has the outcome, so that lists agree with the response. During a store outage it
 * responds after this time, and the decision still counts.
 */
const RECORD_TIMEOUT_MS = 4_000;

/**
 * Rejections of repeated requests by the validators. A rejected update writes no event and does not count towards the
 * run's update limit, so repetitions cannot exhaust that limit.
 */
const REPEAT_REJECTIONS = {
  decision: { type: 'DecisionRepeated', message: 'this decision has already counted' },
  withdrawal: { type: 'AlreadyWithdrawn', message: 'the approval has already been withdrawn' },
} satisfies Record<string, Reason>;

/**
 * Registers the handlers. Messages wait until the approval opens.
 *
 * @returns a function that waits for the early messages, so that a decision that arrives before the first request
 * counts.
 */
export function registerHandlers(progress: ApprovalState): () => Promise<void> {
  let early = 0;

  setHandler(approvalQuery, () => progress.view);

  setHandler(
    decideUpdate,
    async (decision: Decision) => {
      const refusal = await decide(decision);
      if (refusal) throw rejectionFailure(refusal);
      await untilRecorded();
      // After a reset, the recorded outcome may differ.
      const overruled = refusalOf(decision);
      if (overruled) throw rejectionFailure(overruled);
      return progress.view;
    },
    {
      validator: (decision: Decision) => {
        const refusal =
          validateDecision(decision) ??
          (progress.phase === 'open' ? refusalOf(decision) : undefined) ??
          (isRepeated(decision) ? REPEAT_REJECTIONS.decision : undefined);
        if (refusal) throw rejectionFailure(refusal);
      },
    },
  );

  setHandler(decideSignal, async (decision: Decision) => {
    const malformed = validateDecision(decision);
    const refusal = malformed ?? (await decide(decision));
    if (!refusal) return;
    log.warn('ignored a decision', { ...refusal });
    progress.recordIgnoredDecision(refusal, malformed ? {} : toTrailFields(decision));
  });

  setHandler(
    withdrawUpdate,
    async (request: WithdrawRequest | undefined) => {
      const refusal = (await untilOpened()) ?? withdrawalRejection(progress.view);
      if (refusal) throw rejectionFailure(refusal);
      progress.withdraw(request?.reason);
      await untilRecorded();
      const overruled = withdrawalRejection(progress.view);
      if (overruled) throw rejectionFailure(overruled);
      return progress.view;
    },
    {
      validator: (request: unknown) => {
        const { view, isOutcomeRecorded } = progress;
        const isWithdrawn = isOutcomeRecorded && view.status === 'withdrawn';
        const refusal =
          validateReasonRequest(request) ??
          withdrawalRejection(view) ??
          (isWithdrawn ? REPEAT_REJECTIONS.withdrawal : undefined);
        if (refusal) throw rejectionFailure(refusal);
      },
    },
  );

  return () => CancellationScope.nonCancellable(() => condition(() => early === 0));

  async function decide(decision: Decision): Promise<Reason | undefined> {
    return (await untilOpened()) ?? progress.decide(decision);
  }

  /** @returns why the approval did not open, or undefined when it opened. */
  async function untilOpened(): Promise<Reason | undefined> {
    early += 1;
    await CancellationScope.nonCancellable(() => condition(() => progress.phase !== 'opening'));
    early -= 1;
    return progress.rejection;
  }

  async function untilRecorded(): Promise<void> {
    if (progress.isOutcomeRecorded) return;
    await CancellationScope.nonCancellable(() =>
      condition(() => progress.isOutcomeRecorded, RECORD_TIMEOUT_MS, { summary: 'Answer without the store' }),
    );
  }

  /**
   * Whether a decision changes nothing. Before the store has the outcome, a repetition is accepted and waits for the
   * store as well.
   */
  function isRepeated(decision: Decision): boolean {
    const { view, isOutcomeRecorded } = progress;
    if (!isOutcomeRecorded || evaluateDecision(progress, decision) !== 'repeated') return false;
    return !hasNewComment(view, decision) || isTrailFull(view.trail, 'commented');
  }

  function refusalOf(decision: Decision): Reason | undefined {
    const answer = evaluateDecision(progress, decision);
    return typeof answer === 'string' ? undefined : answer;
  }
}
