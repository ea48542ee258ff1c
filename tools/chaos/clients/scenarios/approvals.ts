import type { DecisionCallback } from '../../../../src/schemas/callbacks.js';
import type { LoggedApproval, LoggedDecision } from '../../client-log.js';
import { sendCallback } from '../callbacks.js';
import { createRequest, sendRequest, idempotencyHeader, type ClientSession } from '../client-session.js';

/** The share of decisions that approve. */
const APPROVE_PROBABILITY = 0.7;

/** A system that decides by signed callbacks; people decide by the API. */
const SYSTEM_APPROVER = 'erp';
const HUMAN_APPROVERS = ['grace', 'heidi'];

/** The ways in which an approval gets its decision. */
const DECISION_MODES = ['once', 'once', 'once', 'twice', 'contradicted'] as const;
const DECISION_MODES_WITH_SYSTEM = [...DECISION_MODES, 'by callback', 'by callback', 'against a callback'] as const;

/** Requests an approval that belongs to no order, and decides it. */
export async function runApprovalScenario(session: ClientSession): Promise<void> {
  const { id: approvalId, http, random, endpoints, log } = session;
  const request = createRequest(session, 'approval');
  const asked: LoggedApproval = { approvalId, source: { request }, decisions: [] };
  log.approvals.push(asked);
  // A callback that arrives before its approval exists.
  if (random.chance(0.2)) await sendDecisionCallbacks(session, asked, randomDecision(session), ['early']);

  const body = {
    approvalId,
    title: 'A question of a load test',
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
    await decideApproval(session, asked, { approvers: HUMAN_APPROVERS, mode: random.pick(DECISION_MODES_WITH_SYSTEM) });
}

interface DecideOptions {
  /** The approvers. Default: read from the approval. */
  approvers?: readonly string[];
  mode?: (typeof DECISION_MODES_WITH_SYSTEM)[number];
}

/** Decides an approval and repeats requests until it is decided. */
export async function decideApproval(
  session: ClientSession,
  asked: LoggedApproval,
  deciding: DecideOptions = {},
): Promise<void> {
  const { http, random } = session;
  const { approvalId } = asked;
  const mode = deciding.mode ?? random.pick(DECISION_MODES);
  const decision = randomDecision(session);
  const otherDecision = decision === 'approve' ? 'reject' : 'approve';
  const pollApproval = async () =>
    await http.pollUntil(
      ({ signal }) => http.api.GET('/v1/approvals/{approvalId}', { params: { path: { approvalId } }, signal }),
      ({ trail }) => trail.length > 0,
    );
  const approvers = deciding.approvers ?? (await pollApproval())?.approvers;
  if (!approvers?.length) return;
  const [first, last] = [approvers[0]!, approvers.at(-1)!];

  if (mode === 'once' || mode === 'twice') await sendDecision(session, asked, first, decision);
  if (mode === 'twice') await sendDecision(session, asked, first, decision);
  if (mode === 'contradicted') {
    await Promise.all([
      sendDecision(session, asked, first, decision),
      sendDecision(session, asked, last, otherDecision),
    ]);
  }
  if (mode === 'by callback') await sendDecisionCallbacks(session, asked, decision, ['once', 'once', 'again']);
  if (mode === 'against a callback') {
    await Promise.all([
      sendDecision(session, asked, first, decision),
      sendDecisionCallbacks(session, asked, otherDecision, ['once', 'once']),
    ]);
    // A further callback after the approval has ended.
    await sendDecisionCallbacks(session, asked, otherDecision, ['late']);
  }
}

const randomDecision = ({ random }: ClientSession) =>
  random.chance(APPROVE_PROBABILITY) ? ('approve' as const) : ('reject' as const);

/** Decides by the API. */
async function sendDecision(
  session: ClientSession,
  { approvalId, decisions }: LoggedApproval,
  approver: string,
  decision: 'approve' | 'reject',
): Promise<void> {
  const asked: LoggedDecision = {
    ...createRequest(session, `decision-${decisions.length}`),
    approver,
    decision,
    via: 'api',
  };
  decisions.push(asked);
  const params = { path: { approvalId }, header: idempotencyHeader(asked) };
  await sendRequest(
    session,
    asked,
    'decide',
    ({ signal }) =>
      session.http.api.POST('/v1/approvals/{approvalId}/decision', { params, body: { approver, decision }, signal }),
    ({ decision: made }) => `${made?.approver}: ${made?.decision}`,
  );
}

/** Decides by signed callbacks, one after the other. Callbacks with the same name are the same message. */
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
    const asked: LoggedDecision = known ?? {
      ...createRequest(session, `callback-${name}-${decisions.length}`),
      approver: SYSTEM_APPROVER,
      decision,
      via: 'webhook',
    };
    if (!known) decisions.push(asked);
    messages.set(name, asked);
    await sendCallback(session, asked, 'approvals', body);
  }
}
