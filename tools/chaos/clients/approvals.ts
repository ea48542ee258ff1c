import type { DecisionCallback } from '../../../src/schemas/approval.js';
import type { AskedApproval, AskedDecision } from '../ledger.js';
import { callBack } from './callbacks.js';
import { aRequest, ask, named, type Visit } from './visit.js';

/** The share of decisions that approve. */
const APPROVED = 0.7;

/** A system that decides by signed callbacks; people decide by the API. */
const SYSTEM = 'erp';
const PEOPLE = ['grace', 'heidi'];

/** The ways in which an approval gets its decision. */
const MANNERS = ['once', 'once', 'once', 'twice', 'contradicted'] as const;
const MANNERS_WITH_A_SYSTEM = [...MANNERS, 'by callback', 'by callback', 'against a callback'] as const;

/** Requests an approval that belongs to no order, and decides it. */
export async function approvalStory(visit: Visit): Promise<void> {
  const { id: approvalId, caller, random, outside, ledger } = visit;
  const request = aRequest(visit, 'ask');
  const asked: AskedApproval = { approvalId, of: { request }, decisions: [] };
  ledger.approvals.push(asked);
  // A callback that arrives before its approval exists.
  if (random.chance(0.2)) await callBackWith(visit, asked, verdictOf(visit), ['early']);

  const body = {
    approvalId,
    title: 'May the crowd?',
    requestedBy: 'crowd',
    stages: [
      {
        approvers: [...PEOPLE.map((id) => ({ id })), { id: SYSTEM, webhookUrl: outside.answersUrl }],
        timeoutSeconds: 86_400,
      },
    ],
  };
  const said = await ask(
    visit,
    request,
    'ask',
    ({ signal }) => caller.api.POST('/v1/approvals', { params: { header: named(request) }, body, signal }),
    (accepted) => accepted.approvalId,
  );
  if (said) await decide(visit, asked, { people: PEOPLE, manner: random.of(MANNERS_WITH_A_SYSTEM) });
}

interface Deciding {
  /** The approvers. Default: read from the approval. */
  people?: readonly string[];
  manner?: (typeof MANNERS_WITH_A_SYSTEM)[number];
}

/** Decides an approval and repeats requests until it is decided. */
export async function decide(visit: Visit, asked: AskedApproval, deciding: Deciding = {}): Promise<void> {
  const { caller, random } = visit;
  const { approvalId } = asked;
  const manner = deciding.manner ?? random.of(MANNERS);
  const verdict = verdictOf(visit);
  const other = verdict === 'approve' ? 'reject' : 'approve';
  const look = async () =>
    await caller.see(
      ({ signal }) => caller.api.GET('/v1/approvals/{approvalId}', { params: { path: { approvalId } }, signal }),
      ({ trail }) => trail.length > 0,
    );
  const people = deciding.people ?? (await look())?.approvers;
  if (!people?.length) return;
  const [first, last] = [people[0]!, people.at(-1)!];

  if (manner === 'once' || manner === 'twice') await say(visit, asked, first, verdict);
  if (manner === 'twice') await say(visit, asked, first, verdict);
  if (manner === 'contradicted') {
    await Promise.all([say(visit, asked, first, verdict), say(visit, asked, last, other)]);
  }
  if (manner === 'by callback') await callBackWith(visit, asked, verdict, ['once', 'once', 'again']);
  if (manner === 'against a callback') {
    await Promise.all([say(visit, asked, first, verdict), callBackWith(visit, asked, other, ['once', 'once'])]);
    // A further callback after the approval has ended.
    await callBackWith(visit, asked, other, ['late']);
  }
}

const verdictOf = ({ random }: Visit) => (random.chance(APPROVED) ? ('approve' as const) : ('reject' as const));

/** Decides by the API. */
async function say(
  visit: Visit,
  { approvalId, decisions }: AskedApproval,
  approver: string,
  decision: 'approve' | 'reject',
): Promise<void> {
  const asked: AskedDecision = {
    ...aRequest(visit, `decision-${decisions.length}`),
    approver,
    decision,
    via: 'api',
  };
  decisions.push(asked);
  const params = { path: { approvalId }, header: named(asked) };
  await ask(
    visit,
    asked,
    'decide',
    ({ signal }) =>
      visit.caller.api.POST('/v1/approvals/{approvalId}/decision', { params, body: { approver, decision }, signal }),
    ({ decision: made }) => `${made?.approver}: ${made?.decision}`,
  );
}

/** Decides by signed callbacks, one after the other. Callbacks with the same name are the same message. */
async function callBackWith(
  visit: Visit,
  { approvalId, decisions }: AskedApproval,
  decision: 'approve' | 'reject',
  names: string[],
): Promise<void> {
  const body: DecisionCallback = { approvalId, approver: SYSTEM, decision };
  const messages = new Map<string, AskedDecision>();
  for (const name of names) {
    const known = messages.get(name);
    const asked: AskedDecision = known ?? {
      ...aRequest(visit, `callback-${name}-${decisions.length}`),
      approver: SYSTEM,
      decision,
      via: 'webhook',
    };
    if (!known) decisions.push(asked);
    messages.set(name, asked);
    await callBack(visit, asked, 'approvals', body);
  }
}
