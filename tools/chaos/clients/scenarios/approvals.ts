import type { DecisionCallback } from '../../../../src/schemas/callbacks.js';
import type { LoggedApproval, LoggedDecision } from '../../client-log.js';
import { sendCallback } from '../callbacks.js';
import { createRequest, sendRequest, idempotencyHeader, type ClientSession } from '../client-session.js';

/** The probability that a decision approves. */
const APPROVE_PROBABILITY = 0.7;

/** The approver `erp` is a system and decides by signed callbacks. Human approvers decide through the API. */
const SYSTEM_APPROVER = 'erp';
const HUMAN_APPROVERS = ['grace', 'heidi'];

/** How an approval is decided. A mode that occurs more often is more likely. */
const DECISION_MODES = ['once', 'once', 'once', 'twice', 'contradicted'] as const;
const DECISION_MODES_WITH_SYSTEM = [...DECISION_MODES, 'by callback', 'by callback', 'against a callback'] as const;

/** Requests an approval that belongs to no order, then decides it. */
export async function runApprovalScenario(session: ClientSession): Promise<void> {
  const { id: approvalId, http, random, endpoints, log } = session;
  const request = createRequest(session, 'approval');
  const approval: LoggedApproval = { approvalId, source: { request }, decisions: [] };
  log.approvals.push(approval);
  // Sends a callback before its approval exists.
  if (random.chance(0.2)) await sendDecisionCallbacks(session, approval, randomDecision(session), ['early']);

  const body = {
    approvalId,
    title: 'An approval of a load test',
    requestedBy: 'load-generator',
    stages: [
      {
        approvers: [
          ...HUMAN_APPROVERS.map((id) => ({ id })),
          { id: SYSTEM_APPROVER, webhookUrl: endpoints.webhookSinkUrl },
        ],
        timeoutSeconds: 86_400,
      },
    ],
  };
  const accepted = await sendRequest(
    session,
    request,
    'request approval',
    ({ signal }) => http.api.POST('/v1/approvals', { params: { header: idempotencyHeader(request) }, body, signal }),
    (body) => body.approvalId,
  );
  if (accepted)
    await decideApproval(session, approval, {
      approvers: HUMAN_APPROVERS,
      mode: random.pick(DECISION_MODES_WITH_SYSTEM),
    });
}

interface DecideOptions {
  /** Default: the approvers that the API returns. */
  approvers?: readonly string[];
  mode?: (typeof DECISION_MODES_WITH_SYSTEM)[number];
}

/** Sends the decisions of the given mode. */
export async function decideApproval(
  session: ClientSession,
  approval: LoggedApproval,
  options: DecideOptions = {},
): Promise<void> {
  const { http, random } = session;
  const { approvalId } = approval;
  const mode = options.mode ?? random.pick(DECISION_MODES);
  const decision = randomDecision(session);
  const otherDecision = decision === 'approve' ? 'reject' : 'approve';
  const pollApproval = async () =>
    await http.pollUntil(
      ({ signal }) => http.api.GET('/v1/approvals/{approvalId}', { params: { path: { approvalId } }, signal }),
      ({ trail }) => trail.length > 0,
    );
  const approvers = options.approvers ?? (await pollApproval())?.approvers;
  if (!approvers?.length) return;
  const [first, last] = [approvers[0]!, approvers.at(-1)!];

  if (mode === 'once' || mode === 'twice') await sendDecision(session, approval, first, decision);
  if (mode === 'twice') await sendDecision(session, approval, first, decision);
  if (mode === 'contradicted') {
    await Promise.all([
      sendDecision(session, approval, first, decision),
      sendDecision(session, approval, last, otherDecision),
    ]);
  }
  if (mode === 'by callback') await sendDecisionCallbacks(session, approval, decision, ['once', 'once', 'again']);
  if (mode === 'against a callback') {
    await Promise.all([
      sendDecision(session, approval, first, decision),
      sendDecisionCallbacks(session, approval, otherDecision, ['once', 'once']),
    ]);
    // Sends one more callback after the approval is closed.
    await sendDecisionCallbacks(session, approval, otherDecision, ['late']);
  }
}

const randomDecision = ({ random }: ClientSession) =>
  random.chance(APPROVE_PROBABILITY) ? ('approve' as const) : ('reject' as const);

/** Sends a decision through the API. */
async function sendDecision(
  session: ClientSession,
  { approvalId, decisions }: LoggedApproval,
  approver: string,
  decision: 'approve' | 'reject',
): Promise<void> {
  const logged: LoggedDecision = {
    ...createRequest(session, `decision-${decisions.length}`),
    approver,
    decision,
    via: 'api',
  };
  decisions.push(logged);
  const params = { path: { approvalId }, header: idempotencyHeader(logged) };
  await sendRequest(
    session,
    logged,
    'decide',
    ({ signal }) =>
      session.http.api.POST('/v1/approvals/{approvalId}/decision', { params, body: { approver, decision }, signal }),
    ({ decision: effective }) => `${effective?.approver}: ${effective?.decision}`,
  );
}

/** Sends decisions as signed callbacks, one after the other. Equal names stand for the same message. */
async function sendDecisionCallbacks(
  session: ClientSession,
  { approvalId, decisions }: LoggedApproval,
  decision: 'approve' | 'reject',
  names: string[],
): Promise<void> {
  const body: DecisionCallback = { approvalId, approver: SYSTEM_APPROVER, decision };
  const messages = new Map<string, LoggedDecision>();
  for (const name of names) {
    const known = messages.get(name);
    const logged: LoggedDecision = known ?? {
      ...createRequest(session, `callback-${name}-${decisions.length}`),
      approver: SYSTEM_APPROVER,
      decision,
      via: 'webhook',
    };
    if (!known) decisions.push(logged);
    messages.set(name, logged);
    await sendCallback(session, logged, 'approvals', body);
  }
}
