import type { DecisionCallback } from '../../../../src/schemas/approval.js';
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
export async function runApprovalScenario(visit: ClientSession): Promise<void> {
  const { id: approvalId, http, random, endpoints, log } = visit;
  const request = createRequest(visit, 'ask');
  const asked: LoggedApproval = { approvalId, source: { request }, decisions: [] };
  log.approvals.push(asked);
  // A callback that arrives before its approval exists.
  if (random.chance(0.2)) await sendDecisionCallbacks(visit, asked, randomDecision(visit), ['early']);

  const body = {
    approvalId,
    title: 'May the crowd?',
    requestedBy: 'clients',
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
  const said = await sendRequest(
    visit,
    request,
    'ask',
    ({ signal }) => http.api.POST('/v1/approvals', { params: { header: idempotencyHeader(request) }, body, signal }),
    (accepted) => accepted.approvalId,
  );
  if (said)
    await decideApproval(visit, asked, { approvers: HUMAN_APPROVERS, mode: random.pick(DECISION_MODES_WITH_SYSTEM) });
}

interface DecideOptions {
  /** The approvers. Default: read from the approval. */
  approvers?: readonly string[];
  mode?: (typeof DECISION_MODES_WITH_SYSTEM)[number];
}

/** Decides an approval and repeats requests until it is decided. */
export async function decideApproval(
  visit: ClientSession,
  asked: LoggedApproval,
  deciding: DecideOptions = {},
): Promise<void> {
  const { http, random } = visit;
  const { approvalId } = asked;
  const manner = deciding.mode ?? random.pick(DECISION_MODES);
  const verdict = randomDecision(visit);
  const other = verdict === 'approve' ? 'reject' : 'approve';
  const look = async () =>
    await http.pollUntil(
      ({ signal }) => http.api.GET('/v1/approvals/{approvalId}', { params: { path: { approvalId } }, signal }),
      ({ trail }) => trail.length > 0,
    );
  const people = deciding.approvers ?? (await look())?.approvers;
  if (!people?.length) return;
  const [first, last] = [people[0]!, people.at(-1)!];

  if (manner === 'once' || manner === 'twice') await sendDecision(visit, asked, first, verdict);
  if (manner === 'twice') await sendDecision(visit, asked, first, verdict);
  if (manner === 'contradicted') {
    await Promise.all([sendDecision(visit, asked, first, verdict), sendDecision(visit, asked, last, other)]);
  }
  if (manner === 'by callback') await sendDecisionCallbacks(visit, asked, verdict, ['once', 'once', 'again']);
  if (manner === 'against a callback') {
    await Promise.all([
      sendDecision(visit, asked, first, verdict),
      sendDecisionCallbacks(visit, asked, other, ['once', 'once']),
    ]);
    // A further callback after the approval has ended.
    await sendDecisionCallbacks(visit, asked, other, ['late']);
  }
}

const randomDecision = ({ random }: ClientSession) =>
  random.chance(APPROVE_PROBABILITY) ? ('approve' as const) : ('reject' as const);

/** Decides by the API. */
async function sendDecision(
  visit: ClientSession,
  { approvalId, decisions }: LoggedApproval,
  approver: string,
  decision: 'approve' | 'reject',
): Promise<void> {
  const asked: LoggedDecision = {
    ...createRequest(visit, `decision-${decisions.length}`),
    approver,
    decision,
    via: 'api',
  };
  decisions.push(asked);
  const params = { path: { approvalId }, header: idempotencyHeader(asked) };
  await sendRequest(
    visit,
    asked,
    'decide',
    ({ signal }) =>
      visit.http.api.POST('/v1/approvals/{approvalId}/decision', { params, body: { approver, decision }, signal }),
    ({ decision: made }) => `${made?.approver}: ${made?.decision}`,
  );
}

/** Decides by signed callbacks, one after the other. Callbacks with the same name are the same message. */
async function sendDecisionCallbacks(
  visit: ClientSession,
  { approvalId, decisions }: LoggedApproval,
  decision: 'approve' | 'reject',
  names: string[],
): Promise<void> {
  const body: DecisionCallback = { approvalId, approver: SYSTEM_APPROVER, decision };
  const messages = new Map<string, LoggedDecision>();
  for (const name of names) {
    const known = messages.get(name);
    const asked: LoggedDecision = known ?? {
      ...createRequest(visit, `callback-${name}-${decisions.length}`),
      approver: SYSTEM_APPROVER,
      decision,
      via: 'webhook',
    };
    if (!known) decisions.push(asked);
    messages.set(name, asked);
    await sendCallback(visit, asked, 'approvals', body);
  }
}
