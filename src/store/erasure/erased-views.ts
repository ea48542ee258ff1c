import type { ApprovalView, TrailEntry } from '../../schemas/approval.js';
import type { OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';

/** Replaces an id or a text in erased records. It is no valid caller id, so it belongs to no caller. */
export const ERASED = '<erased>';

/**
 * Returns the view of an order without the customer and without texts that people or other systems wrote. Keeps only
 * the listed fields, so that a new field is erased unless somebody adds it here.
 */
export function eraseOrderView(view: OrderView): OrderView {
  const { orderId, status, stage, lines, total, approval, shipment, delivery, ignoredReportCount } = view;
  const { cancellation, reason } = view;
  return {
    orderId,
    status,
    stage,
    ...(lines && { lines }),
    ...(total && { total }),
    ...(approval && { approval }),
    ...(shipment && { shipment }),
    ...(delivery && { delivery }),
    ...(ignoredReportCount !== undefined && { ignoredReportCount }),
    ...(cancellation && { cancellation: { requestedAt: cancellation.requestedAt, ...pickRejected(cancellation) } }),
    ...(reason && { reason: eraseMessage(reason) }),
    steps: view.steps.map(({ name, status, startedAt, endedAt, reason }) => ({
      name,
      status,
      startedAt,
      ...(endedAt !== undefined && { endedAt }),
      ...(reason && { reason: eraseMessage(reason) }),
    })),
    compensations: view.compensations.map(({ name, status, startedAt, endedAt, attempt, reason }) => ({
      name,
      status,
      startedAt,
      attempt,
      ...(endedAt !== undefined && { endedAt }),
      ...(reason && { reason: eraseMessage(reason) }),
    })),
  };
}

const pickRejected = ({ rejected }: { rejected?: boolean | undefined }) => (rejected === undefined ? {} : { rejected });

const eraseMessage = ({ type }: Reason): Reason => ({ type, message: ERASED });

/**
 * Returns the view of an approval without its requester, and without texts that people or other systems wrote. The
 * decisions and their approvers stay, because they are the audit trail of the shop.
 */
export function eraseRequester(view: ApprovalView): ApprovalView {
  const { approvalId, status, amount, stage, stages, approvers, decision, withdrawal, trail, notifications } = view;
  const { requestedBy, callbackDelivery } = view;
  const kept: ApprovalView = {
    approvalId,
    status,
    title: ERASED,
    requestedBy,
    ...(amount && { amount }),
    stage,
    stages,
    approvers,
    ...(decision && { decision: withoutComment(decision) }),
    ...(withdrawal && { withdrawal: { at: withdrawal.at } }),
    trail: eraseTrailTexts(trail),
    notifications: notifications.map(eraseReason),
    ...(callbackDelivery && { callbackDelivery: eraseReason(callbackDelivery) }),
  };
  return replacePerson(kept, requestedBy);
}

/** Returns the view of another person's approval without an approver: without the id and the comments. */
export function eraseApprover(view: ApprovalView, approver: string): ApprovalView {
  const isTheirs = (entry: { approver?: string | undefined }) => entry.approver === approver;
  const { decision } = view;
  const erased: ApprovalView = {
    ...view,
    ...(decision && { decision: isTheirs(decision) ? withoutComment(decision) : decision }),
    trail: eraseTrailOf(view.trail, approver),
    notifications: view.notifications.map((entry) => (isTheirs(entry) ? eraseReason(entry) : entry)),
  };
  return replacePerson(erased, approver);
}

/** Returns the entries without the comments and reasons of all persons. */
export const eraseTrailTexts = (trail: readonly TrailEntry[]): TrailEntry[] =>
  trail.map((entry) => eraseReason(withoutComment(entry)));

/** Returns the entries without the id, the comments and the reasons of a person. */
export const eraseTrailOf = (trail: readonly TrailEntry[], person: string): TrailEntry[] =>
  trail.map((entry) =>
    entry.approver === person ? { ...eraseReason(withoutComment(entry)), approver: ERASED } : entry,
  );

function withoutComment<Entry extends { comment?: string | undefined }>({ comment: _, ...entry }: Entry) {
  return entry;
}

const eraseReason = <Entry extends { reason?: Reason | undefined }>(entry: Entry): Entry =>
  entry.reason ? { ...entry, reason: eraseMessage(entry.reason) } : entry;

/** Replaces the id of a person in the fields that contain persons. The erasure searches the same fields. */
function replacePerson(view: ApprovalView, person: string): ApprovalView {
  const replace = (id: string) => (id === person ? ERASED : id);
  const replaceApprover = <Entry extends { approver?: string | undefined }>(entry: Entry): Entry =>
    entry.approver === person ? { ...entry, approver: ERASED } : entry;
  const { decision, ifUndecided } = view;
  return {
    ...view,
    requestedBy: replace(view.requestedBy),
    approvers: view.approvers.map(replace),
    ...(decision && { decision: replaceApprover(decision) }),
    ...(ifUndecided &&
      'nextApprovers' in ifUndecided && { ifUndecided: { nextApprovers: ifUndecided.nextApprovers.map(replace) } }),
    trail: view.trail.map(replaceApprover),
    notifications: view.notifications.map(replaceApprover),
  };
}
