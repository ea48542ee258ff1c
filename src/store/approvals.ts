import { sql, type Kysely, type Selectable, type SelectQueryBuilder } from 'kysely';
import type { ApprovalStatus, ApprovalSummary, ApprovalView, TrailEntry } from '../schemas/approval.js';
import type { Money } from '../schemas/shared/money.js';
import type { Tables } from './tables.js';

/** Maximum number of comments on a closed approval. Further comments are dropped. */
const MAX_LATER_COMMENTS = 20;

/** A new approval and its first stage. */
export interface NewApproval extends ApprovalStage {
  contentHash: string;
  title: string;
  requestedBy: string;
  amount?: Money | undefined;
  stages: number;
  requestedAt: Date;
}

/** The current stage of an approval. */
export interface ApprovalStage {
  approvalId: string;
  /** The first run id of the execution. A reset keeps it. */
  firstRunId: string;
  stage: number;
  /** Ids of the approvers who can decide in this stage. */
  approvers: string[];
  deadline: Date;
}

/** `taken` means that the id belongs to an approval with different content. */
export type OpenApprovalOutcome = { status: 'open' | 'taken' } | { status: 'closed'; view: ApprovalView };

export interface ApprovalRecord {
  contentHash: string;
  summary: ApprovalSummary;
  /** The view that was recorded when the approval closed, plus the comments that were added later. */
  finalView?: ApprovalView;
}

export interface ApprovalFilter {
  status?: ApprovalStatus | undefined;
  /** Selects the pending approvals that this approver can decide. */
  approver?: string | undefined;
  requestedBy?: string | undefined;
}

export function createApprovalStore(db: Kysely<Tables>) {
  return {
    /**
     * Records an approval as open. A repeated call with the same content reopens the approval, unless a final view is
     * recorded. A later execution can make this call too.
     */
    async openApproval(approval: NewApproval): Promise<OpenApprovalOutcome> {
      return await db.transaction().execute(async (tx) => {
        const { approvalId, contentHash, title, requestedBy, amount, stages, requestedAt } = approval;
        const inserted = await tx
          .insertInto('approvals')
          .values({
            approval_id: approvalId,
            content_hash: contentHash,
            status: 'pending',
            title,
            requested_by: requestedBy,
            amount_value: amount?.value,
            amount_currency: amount?.currency,
            stages,
            requested_at: requestedAt,
            due_at: approval.deadline,
            ...stageColumns(approval),
          })
          .onConflict((conflict) => conflict.column('approval_id').doNothing())
          .returning('approval_id')
          .executeTakeFirst();
        if (inserted) return { status: 'open' };
        const existing = await tx
          .selectFrom('approvals')
          .select(['content_hash', 'final_view'])
          .where('approval_id', '=', approvalId)
          .forUpdate()
          .executeTakeFirstOrThrow();
        if (existing.content_hash !== contentHash) return { status: 'taken' };
        if (existing.final_view) return { status: 'closed', view: existing.final_view };
        await tx
          .updateTable('approvals')
          .set({ status: 'pending', closed_at: null, due_at: approval.deadline, ...stageColumns(approval) })
          .where('approval_id', '=', approvalId)
          .execute();
        return { status: 'open' };
      });
    },

    /** Records the current stage. Does nothing for a closed approval. */
    async recordApprovalStage(stage: ApprovalStage): Promise<void> {
      await db
        .updateTable('approvals')
        .set({ status: 'pending', closed_at: null, ...stageColumns(stage) })
        .where('approval_id', '=', stage.approvalId)
        .where('final_view', 'is', null)
        .execute();
    },

    /**
     * Records the outcome of an approval. The first outcome is final. After a reset, a different outcome changes
     * nothing, and the same outcome updates the rest of the view. A recorded delivery of the outcome is final too,
     * because a standalone activity can record it before the workflow records its last view.
     *
     * @returns the recorded view.
     */
    async closeApproval(view: ApprovalView, closedAt: Date): Promise<ApprovalView> {
      return await db.transaction().execute(async (tx) => {
        const existing = await tx
          .selectFrom('approvals')
          .select('final_view')
          .where('approval_id', '=', view.approvalId)
          .forUpdate()
          .executeTakeFirst();
        const first = existing?.final_view;
        if (first && !isSameOutcome(first, view)) return first;
        const recorded = first ? { ...view, ...pickFinalFields(first) } : view;
        await tx
          .updateTable('approvals')
          .set({
            status: recorded.status,
            stage: recorded.stage,
            approvers: [],
            final_view: JSON.stringify(recorded),
            ...(!first && { closed_at: closedAt }),
          })
          .where('approval_id', '=', view.approvalId)
          .execute();
        return recorded;
      });
    },

    /** Records that a standalone activity delivered the outcome of a closed approval to the callback URL. */
    async recordOutcomeDelivered(approvalId: string, activityId: string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        const row = await tx
          .selectFrom('approvals')
          .select('final_view')
          .where('approval_id', '=', approvalId)
          .forUpdate()
          .executeTakeFirst();
        if (!row?.final_view) return;
        const view = { ...row.final_view, callbackDelivery: { status: 'delivered', activityId } };
        await tx
          .updateTable('approvals')
          .set({ final_view: JSON.stringify(view) })
          .where('approval_id', '=', approvalId)
          .execute();
      });
    },

    /** Adds a comment to the trail of a closed approval. */
    async addApprovalComment(approvalId: string, entry: TrailEntry): Promise<void> {
      await sql`
        update approvals set later_comments = (later_comments::jsonb || ${JSON.stringify([entry])}::jsonb)::json
        where approval_id = ${approvalId} and final_view is not null
          and json_array_length(later_comments) < ${MAX_LATER_COMMENTS}`.execute(db);
    },

    async findApproval(approvalId: string): Promise<ApprovalRecord | undefined> {
      const row = await db.selectFrom('approvals').selectAll().where('approval_id', '=', approvalId).executeTakeFirst();
      if (!row) return undefined;
      const { content_hash: contentHash, final_view: view, later_comments: comments } = row;
      return {
        contentHash,
        summary: toApprovalSummary(row),
        ...(view && { finalView: { ...view, trail: [...view.trail, ...comments] } }),
      };
    },

    /** Lists approvals, newest first. `before` is the number of the last approval of the previous page. */
    async listApprovals(
      { status, approver, requestedBy }: ApprovalFilter,
      { before, limit }: { before?: string | undefined; limit: number },
    ): Promise<(ApprovalSummary & { number: string })[]> {
      let query = db.selectFrom('approvals').selectAll().orderBy('number', 'desc').limit(limit);
      if (status !== undefined) query = query.where('status', '=', status);
      if (requestedBy !== undefined) query = query.where('requested_by', '=', requestedBy);
      if (approver !== undefined) query = wherePendingFor(query, approver);
      if (before !== undefined) query = query.where('number', '<', before);
      const rows = await query.execute();
      return rows.map((row) => ({ ...toApprovalSummary(row), number: row.number }));
    },

    /**
     * Counts the pending approvals. A terminated approval counts until `closeApprovalWithoutOutcome` closes it.
     */
    async countPendingApprovals(): Promise<number> {
      const { count } = await selectPendingApprovalCount(db).executeTakeFirstOrThrow();
      return Number(count);
    },

    /** Counts the pending approvals whose first stage has expired. */
    async countOverdueApprovals(): Promise<number> {
      const { count } = await selectOverdueApprovalCount(db).executeTakeFirstOrThrow();
      return Number(count);
    },

    /** Returns the ids in the list whose approval is pending in the store. */
    async filterPendingApprovals(approvalIds: readonly string[]): Promise<string[]> {
      if (approvalIds.length === 0) return [];
      const rows = await db
        .selectFrom('approvals')
        .select('approval_id')
        .where('approval_id', 'in', approvalIds)
        .where('status', '=', 'pending')
        .execute();
      return rows.map(({ approval_id }) => approval_id);
    },

    /**
     * Closes a pending approval whose workflow ended without an outcome, for example after a termination.
     *
     * @returns false when the approval was already closed.
     */
    async closeApprovalWithoutOutcome(approvalId: string, closedAt: Date): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('approvals')
        .set({ status: 'withdrawn', approvers: [], closed_at: closedAt })
        .where('approval_id', '=', approvalId)
        .where('status', '=', 'pending')
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /** Whether a message was delivered, and whether its approval is closed in the store. */
    async readApprovalMessageState(
      approvalId: string,
      messageId: string,
    ): Promise<{ isSent: boolean; isClosed: boolean }> {
      const { rows } = await sql<{ isSent: boolean; isClosed: boolean }>`
        select exists (select 1 from approval_messages where message_id = ${messageId}) as "isSent",
          exists (
            select 1 from approvals where approval_id = ${approvalId} and final_view is not null
          ) as "isClosed"`.execute(db);
      return rows[0]!;
    },

    /** Returns the reference with which the channel can change a delivered message. */
    async findApprovalMessageReference(messageId: string): Promise<string | undefined> {
      const row = await db
        .selectFrom('approval_messages')
        .select('reference')
        .where('message_id', '=', messageId)
        .executeTakeFirst();
      return row?.reference ?? undefined;
    },

    /**
     * Records that a message was delivered, so that the message is not sent again after a reset.
     *
     * @param reference the reference with which the channel can change the message.
     */
    async recordApprovalMessageSent(approvalId: string, messageId: string, reference?: string): Promise<void> {
      await db
        .insertInto('approval_messages')
        .values({ approval_id: approvalId, message_id: messageId, ...(reference !== undefined && { reference }) })
        .onConflict((conflict) => conflict.column('message_id').doNothing())
        .execute();
    },
  };
}

/** The query of `countPendingApprovals`. */
export const selectPendingApprovalCount = (db: Kysely<Tables>) =>
  db
    .selectFrom('approvals')
    .where('status', '=', 'pending')
    .select(({ fn }) => fn.countAll().as('count'));

/** The query of `countOverdueApprovals`. Its condition is that of the partial index `approvals_pending_by_due`. */
export const selectOverdueApprovalCount = (db: Kysely<Tables>) =>
  selectPendingApprovalCount(db).where(sql<boolean>`coalesce(due_at, deadline) < now()`);

const stageColumns = ({ firstRunId, stage, approvers, deadline }: ApprovalStage) => ({
  first_run_id: firstRunId,
  stage,
  approvers,
  deadline,
});

/** Uses the condition of the partial index `approvals_by_approver`, so that PostgreSQL can use this index. */
function wherePendingFor<Row>(query: SelectQueryBuilder<Tables, 'approvals', Row>, approver: string) {
  return query.where('status', '=', 'pending').where(sql<boolean>`approvers @> array[${approver}]::text[]`);
}

function isSameOutcome(one: ApprovalView, other: ApprovalView): boolean {
  return (
    one.status === other.status &&
    one.decision?.approver === other.decision?.approver &&
    one.decision?.decision === other.decision?.decision
  );
}

const pickFinalFields = ({ decision, withdrawal, callbackDelivery }: ApprovalView) => ({
  ...(decision && { decision }),
  ...(withdrawal && { withdrawal }),
  ...(callbackDelivery?.status === 'delivered' && { callbackDelivery }),
});

function toApprovalSummary(
  row: Omit<Selectable<Tables['approvals']>, 'final_view' | 'later_comments' | 'due_at'>,
): ApprovalSummary {
  return {
    approvalId: row.approval_id,
    status: row.status,
    title: row.title,
    requestedBy: row.requested_by,
    ...(row.amount_value !== null &&
      row.amount_currency !== null && {
        amount: { value: Number(row.amount_value), currency: row.amount_currency },
      }),
    stage: row.stage,
    stages: row.stages,
    approvers: row.approvers,
    ...(row.status === 'pending' && { deadline: row.deadline.toISOString() }),
    startedAt: row.requested_at.toISOString(),
    ...(row.closed_at && { closedAt: row.closed_at.toISOString() }),
  };
}
