import { CancellationScope, condition, log, setHandler } from '@temporalio/workflow';
import type { ApprovalView, Decision, WithdrawRequest } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { validateReasonRequest } from '../shared/arguments.js';
import { throwIfRejected } from '../shared/failures.js';
import { validateDecision } from './argument-validation.js';
import { approvalQuery, decideSignal, decideUpdate, withdrawUpdate } from './contract.js';
import { evaluateDecision, hasNewComment, isTrailFull, toTrailFields, withdrawalRejectionOf } from './decisions.js';
import type { ApprovalState } from './state.js';

/**
 * An update responds when the store has the outcome, so that lists and the response show the same outcome. During a
 * store outage, the update responds after this time. The decision still counts.
 */
const RECORD_TIMEOUT_MS = 4_000;

/**
 * The validators reject repeated requests with these reasons. A rejected update writes no event and does not count
 * towards the run's update limit, so repeated requests cannot exhaust that limit.
 */
const REPEAT_REJECTIONS = {
  decision: { type: 'DecisionRepeated', message: 'this decision was already made' },
  withdrawal: { type: 'AlreadyWithdrawn', message: 'the approval has already been withdrawn' },
} satisfies Record<string, Reason>;

/** Registers the handlers. Updates and signals that arrive early wait until the approval is open. */
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
  // After a reset, the store may already have a different outcome.
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
  throwIfRejected((await waitUntilOpened(state)) ?? withdrawalRejectionOf(state.view));
  state.withdraw(request?.reason);
  await waitUntilRecorded(state);
  throwIfRejected(withdrawalRejectionOf(state.view));
  return state.view;
}

function validateWithdrawUpdate({ view, isOutcomeRecorded }: ApprovalState, request: unknown): Reason | undefined {
  const isWithdrawn = isOutcomeRecorded && view.status === 'withdrawn';
  return (
    validateReasonRequest(request) ??
    withdrawalRejectionOf(view) ??
    (isWithdrawn ? REPEAT_REJECTIONS.withdrawal : undefined)
  );
}

/** Applies a decision when the approval is open. @returns the reason if the decision is rejected. */
async function decide(state: ApprovalState, decision: Decision): Promise<Reason | undefined> {
  return (await waitUntilOpened(state)) ?? state.decide(decision);
}

/**
 * Waits until the approval has opened or failed to open.
 *
 * @returns why the approval did not open, or undefined when it opened.
 */
async function waitUntilOpened(state: ApprovalState): Promise<Reason | undefined> {
  state.earlyMessageCount += 1;
  await CancellationScope.nonCancellable(() => condition(() => state.phase !== 'opening'));
  state.earlyMessageCount -= 1;
  return state.openFailure;
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
 * Whether a decision would change nothing, so that the validator can reject the decision. Returns false until the store
 * has the outcome: until then, a repeated decision is accepted and waits for the store.
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
