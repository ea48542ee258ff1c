import { TemporalFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  log,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import type {
  ApprovalInput,
  ApprovalStatus,
  ApprovalView,
  Approver,
  Decision,
  Stage,
  TrailEntry,
  WithdrawRequest,
} from '../../schemas/approval.js';
import type { Reason } from '../../schemas/reason.js';
import { NON_RETRYABLE, reasonOf, refused } from '../shared/failures.js';
import {
  approvalDueAtAttribute,
  approvalIdOf,
  approvalQuery,
  approvalStatusAttribute,
  approversAttribute,
  decideSignal,
  decideUpdate,
  withdrawUpdate,
} from './contract.js';
import { malformedReasonRequest } from '../shared/reason-request.js';
import { StageMessages } from './messages.js';
import { endOf, remindersOf } from './stage.js';
import { answerTo, givenText, isTrailFull, malformedDecision, outcomeOf, saidBy, withdrawalRefusal } from './state.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE];

const { openApproval } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '5 seconds',
  retry: { initialInterval: '100 milliseconds', maximumAttempts: 12, nonRetryableErrorTypes },
});

/** The receiver of the outcome may be away over a night: 24 hours of tries, at most an hour apart. */
const { reportOutcome } = proxyActivities<Activities>({
  summary: 'Report the outcome',
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: '24 hours',
  retry: {
    initialInterval: '5 seconds',
    backoffCoefficient: 3,
    maximumInterval: '1 hour',
    nonRetryableErrorTypes,
  },
});

/**
 * Asks people or systems for a decision: stage after stage, each with its time, until somebody decides. The first
 * decision wins; the outcome is final and reported to the callback URL, if there is one.
 *
 * Completes with the approval's view, whatever the outcome; a native cancellation withdraws the question and ends the run
 * as Cancelled. Input that does not parse fails as `InvalidInput` with the list of problems.
 */
export async function approval(input: ApprovalInput): Promise<ApprovalView> {
  const { workflowId, runId, typedSearchAttributes } = workflowInfo();
  const approvalId = approvalIdOf(workflowId);
  const now = () => new Date().toISOString();

  const view: ApprovalView = {
    approvalId,
    status: 'pending',
    // Whoever asks before the input is parsed sees at least what it is about.
    title: givenText(input, 'title'),
    requestedBy: givenText(input, 'requestedBy'),
    stage: 1,
    stages: 0,
    approvers: [],
    trail: [],
    notifications: [],
  };
  let approvers: readonly Approver[] = [];
  let dueAt: Date | undefined;
  let opened = false;
  let notOpened: TemporalFailure | undefined;
  const isClosed = () => view.status !== 'pending';

  setHandler(approvalQuery, () => view);

  setHandler(
    decideUpdate,
    async (decision: Decision) => {
      const refusal = await decide(decision);
      if (refusal) throw refused(refusal);
      return view;
    },
    {
      validator: (decision: Decision) => {
        const refusal = malformedDecision(decision) ?? (opened ? refusalOf(decision) : undefined);
        if (refusal) throw refused(refusal);
      },
    },
  );

  setHandler(decideSignal, async (decision: Decision) => {
    const malformed = malformedDecision(decision);
    const refusal = malformed ?? (await decide(decision));
    if (!refusal) return;
    log.warn('ignored a decision', { ...refusal });
    if (isTrailFull(view.trail)) return;
    note('ignored', { ...(malformed ? {} : saidBy(decision)), reason: refusal });
  });

  setHandler(
    withdrawUpdate,
    async (request: WithdrawRequest | undefined) => {
      const refusal = (await isOpened()) ?? withdrawalRefusal(view);
      if (refusal) throw refused(refusal);
      withdraw(request?.reason);
      return view;
    },
    {
      validator: (request: unknown) => {
        const refusal = malformedReasonRequest(request) ?? withdrawalRefusal(view);
        if (refusal) throw refused(refusal);
      },
    },
  );

  try {
    // Also when it is cancelled already: a decision that was accepted before comes first.
    await CancellationScope.nonCancellable(() => openApproval(input, approvalId));
  } catch (error) {
    // A decision may have come along with the start; who waits for its answer is told why there is none.
    if (error instanceof TemporalFailure) notOpened = error;
    await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    throw error;
  }
  open();
  // Whoever decided before anybody was asked goes first.
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));

  let cancelled: TemporalFailure | undefined;
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof TemporalFailure && isCancellation(error))) throw error;
    if (!isClosed()) withdraw();
    cancelled = error;
  }
  await CancellationScope.nonCancellable(async () => {
    await deliver();
    await condition(allHandlersFinished);
  });
  if (cancelled && view.status === 'withdrawn') throw cancelled;
  return view;

  function open(): void {
    const { title, description, requestedBy, amount, stages } = input;
    Object.assign(view, { title, requestedBy, ...(description && { description }), ...(amount && { amount }) });
    view.stages = stages.length;
    enter(stages[0]!);
    opened = true;
    note('requested', { approver: requestedBy });
  }

  /** Asks stage after stage until the approval is closed. */
  async function ask(): Promise<void> {
    for (const [index, stage] of input.stages.entries()) {
      if (isClosed()) return;
      if (index > 0) escalate(stage);
      publish();
      await askStage(stage);
    }
    if (isClosed()) return;
    note('timed_out');
    close(input.onTimeout ?? 'timed_out');
  }

  function escalate(stage: Stage): void {
    view.stage += 1;
    enter(stage);
    note('escalated');
  }

  function enter(stage: Stage): void {
    approvers = stage.approvers;
    view.approvers = approvers.map(({ id }) => id);
    const deadline = new Date(endOf(stage, Date.now()));
    view.deadline = deadline.toISOString();
    dueAt ??= deadline;
  }

  /** Tells the approvers of a stage and reminds them, until the approval is closed or the stage's time is over. */
  async function askStage(stage: Stage): Promise<void> {
    const askedAt = Date.now();
    const endsAt = endOf(stage, askedAt);
    const { title, description, requestedBy, amount } = input;
    const question = { approvalId, title, requestedBy, ...(description && { description }), ...(amount && { amount }) };
    const messages = new StageMessages(view, approvers, { question, runId, endsAt, onChange: describe });
    try {
      messages.send(0);
      for (const [index, wakeAt] of [...remindersOf(stage, askedAt), endsAt].entries()) {
        await condition(isClosed, Math.max(wakeAt - Date.now(), 1));
        if (isClosed() || wakeAt === endsAt) break;
        messages.send(index + 1);
      }
    } finally {
      await messages.stop();
    }
  }

  /** Waits until it is known what is asked. @returns why nothing is. */
  async function isOpened(): Promise<Reason | undefined> {
    await CancellationScope.nonCancellable(() => condition(() => opened || notOpened !== undefined));
    return notOpened && reasonOf(notOpened);
  }

  /** Takes a decision. @returns why it does not count, if it does not. */
  async function decide(decision: Decision): Promise<Reason | undefined> {
    const notAsked = await isOpened();
    if (notAsked) return notAsked;
    const answer = answerTo({ view, approvers }, decision);
    if (answer === 'repeated') return undefined;
    if (answer !== 'counts') return answer;
    view.decision = { ...saidBy(decision), stage: view.stage, at: now() };
    note('decided', saidBy(decision));
    close(outcomeOf(decision));
    return undefined;
  }

  function refusalOf(decision: Decision): Reason | undefined {
    const answer = answerTo({ view, approvers }, decision);
    return typeof answer === 'string' ? undefined : answer;
  }

  function withdraw(reason?: string): void {
    if (isClosed()) return;
    view.withdrawal = { at: now(), ...(reason && { reason }) };
    note('withdrawn');
    close('withdrawn');
  }

  /** Reports the outcome. That this fails is seen, and changes nothing about the outcome. */
  async function deliver(): Promise<void> {
    if (input.callbackUrl === undefined) return;
    const { status, decision, withdrawal } = view;
    view.delivery = { status: 'pending' };
    describe();
    try {
      await reportOutcome({
        callbackUrl: input.callbackUrl,
        runId,
        outcome: { approvalId, status, ...(decision && { decision }), ...(withdrawal && { withdrawal }) },
      });
      view.delivery = { status: 'delivered' };
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      view.delivery = { status: 'failed', reason: reasonOf(error) };
    }
    describe();
  }

  function close(status: ApprovalStatus): void {
    view.status = status;
    publish();
  }

  /** What lists and the Web UI show. A start by the API has told it already. */
  function publish(): void {
    describe();
    const told =
      view.stage === 1 &&
      typedSearchAttributes.get(approvalStatusAttribute) === view.status &&
      typedSearchAttributes.get(approversAttribute)?.join() === view.approvers.join();
    if (told) return;
    upsertSearchAttributes([
      { key: approvalStatusAttribute, value: view.status },
      { key: approversAttribute, value: isClosed() ? null : view.approvers },
      ...(dueAt ? [{ key: approvalDueAtAttribute, value: dueAt }] : []),
    ]);
  }

  function note(event: TrailEntry['event'], more: Partial<TrailEntry> = {}): void {
    view.trail.push({ at: now(), event, stage: view.stage, ...more });
  }

  function describe(): void {
    const asked = isClosed() ? '' : `, stage ${view.stage} of ${view.stages}: ${view.approvers.join(', ')}`;
    const by = view.decision ? ` by ${view.decision.approver} (${view.decision.via})` : '';
    const failed = view.notifications.filter(({ status }) => status === 'failed');
    setCurrentDetails(
      [
        `**${view.status}**${by}${asked}`,
        ...failed.map(({ approver, channel, reason }) => `- ${channel} to ${approver} failed: ${reason?.type ?? ''}`),
        ...(view.delivery ? [`- report of the outcome: ${view.delivery.status}`] : []),
      ].join('\n'),
    );
  }
}
