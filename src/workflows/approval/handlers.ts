import { CancellationScope, condition, log, setHandler } from '@temporalio/workflow';
import type { ApprovalView, Decision, WithdrawRequest } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { validateReasonRequest } from '../shared/arguments.js';
import { throwIfRejected } from '../shared/failures.js';
import { validateDecision } from './argument-validation.js';
import { approvalQuery, decideSignal, decideUpdate, withdrawUpdate } from './contract.js';
import { evaluateDecision, hasNewComment, isTrailFull, toTrailFields, withdrawalRejection } from './decisions.js';
import type { ApprovalState } from './state.js';

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

/** Registers the handlers. Messages wait until the approval opens. */
export function registerHandlers(state: ApprovalState): void {
  setHandler(approvalQuery, () => state.view);
  setHandler(decideUpdate, (decision: Decision) => handleDecideUpdate(state, decision), {
    validator: (decision: Decision) => throwIfRejected(validateDecideUpdate(state, decision)),
  });
  setHandler(decideSignal, (decision: Decision) => handleDecideSignal(state, decision));
  setHandler(withdrawUpdate, (request: WithdrawRequest | undefined) => handleWithdrawUpdate(state, request), {
    validator: (request: unknown) => throwIfRejected(validateWithdrawUpdate(state, request)),
  });
}

async function handleDecideUpdate(state: ApprovalState, decision: Decision): Promise<ApprovalView> {
  throwIfRejected(await decide(state, decision));
  await waitUntilRecorded(state);
  // After a reset, the recorded outcome may differ.
  throwIfRejected(decisionRejectionOf(state, decision));
  return state.view;
}

function validateDecideUpdate(state: ApprovalState, decision: Decision): Reason | undefined {
  return (
    validateDecision(decision) ??
    (state.phase === 'open' ? decisionRejectionOf(state, decision) : undefined) ??
    (hasNoEffect(state, decision) ? REPEAT_REJECTIONS.decision : undefined)
  );
}

async function handleDecideSignal(state: ApprovalState, decision: Decision): Promise<void> {
  const malformed = validateDecision(decision);
  const rejection = malformed ?? (await decide(state, decision));
  if (!rejection) return;
  log.warn('ignored a decision', { ...rejection });
  state.recordIgnoredDecision(rejection, malformed ? {} : toTrailFields(decision));
}

async function handleWithdrawUpdate(state: ApprovalState, request: WithdrawRequest | undefined): Promise<ApprovalView> {
  throwIfRejected((await waitUntilOpened(state)) ?? withdrawalRejection(state.view));
  state.withdraw(request?.reason);
  await waitUntilRecorded(state);
  throwIfRejected(withdrawalRejection(state.view));
  return state.view;
}

function validateWithdrawUpdate({ view, isOutcomeRecorded }: ApprovalState, request: unknown): Reason | undefined {
  const isWithdrawn = isOutcomeRecorded && view.status === 'withdrawn';
  return (
    validateReasonRequest(request) ??
    withdrawalRejection(view) ??
    (isWithdrawn ? REPEAT_REJECTIONS.withdrawal : undefined)
  );
}

/** Applies a decision once the approval is open. @returns why the decision does not count, or undefined. */
async function decide(state: ApprovalState, decision: Decision): Promise<Reason | undefined> {
  return (await waitUntilOpened(state)) ?? state.decide(decision);
}

/** @returns why the approval did not open, or undefined when it opened. */
async function waitUntilOpened(state: ApprovalState): Promise<Reason | undefined> {
  state.earlyMessageCount += 1;
  await CancellationScope.nonCancellable(() => condition(() => state.phase !== 'opening'));
  state.earlyMessageCount -= 1;
  return state.rejection;
}

async function waitUntilRecorded(state: ApprovalState): Promise<void> {
  if (state.isOutcomeRecorded) return;
  await CancellationScope.nonCancellable(() =>
    condition(() => state.isOutcomeRecorded, RECORD_TIMEOUT_MS, {
      summary: 'Respond before the store has the outcome',
    }),
  );
}

/**
 * Whether a decision changes nothing. Before the store has the outcome, a repetition is accepted and waits for the
 * store as well.
 */
function hasNoEffect(state: ApprovalState, decision: Decision): boolean {
  const { view, isOutcomeRecorded } = state;
  if (!isOutcomeRecorded || evaluateDecision(state, decision) !== 'repeated') return false;
  return !hasNewComment(view, decision) || isTrailFull(view.trail, 'commented');
}

function decisionRejectionOf(state: ApprovalState, decision: Decision): Reason | undefined {
  const evaluation = evaluateDecision(state, decision);
  return typeof evaluation === 'string' ? undefined : evaluation;
}
