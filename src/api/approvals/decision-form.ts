import { z } from 'zod';
import { decisionRequest, MAX_COMMENT_LENGTH, verdict } from '../../schemas/approval.js';

/** The submitted comment, and the problems that caused the rejection of the form. */
export interface DecisionDraft {
  comment: string;
  problems: DecisionDraftProblem[];
}

export interface DecisionDraftProblem {
  field: 'decision' | 'comment';
  detail: string;
}

/** The form with which an approver decides in a browser. */
export const decisionForm = z.object({
  decision: verdict,
  comment: z.preprocess(
    (value) => (typeof value === 'string' ? normalizeComment(value) : value),
    decisionRequest.shape.comment,
  ),
});

export function decisionFormProblem({ path }: z.core.$ZodIssue, body: unknown): DecisionDraftProblem {
  if (path[0] !== 'comment') return { field: 'decision', detail: 'Choose “Approve” or “Reject”.' };
  const { length } = normalizeComment(rawCommentOf(body)) ?? '';
  const detail =
    length > MAX_COMMENT_LENGTH
      ? `The comment has ${length.toLocaleString('en')} characters. The maximum is ${MAX_COMMENT_LENGTH.toLocaleString('en')}.`
      : 'The comment contains characters that cannot be stored.';
  return { field: 'comment', detail };
}

/** Returns the submitted comment unchanged, even if the comment is invalid. */
export function rawCommentOf(body: unknown): string {
  const { comment } = (body ?? {}) as { comment?: unknown };
  return typeof comment === 'string' ? comment : '';
}

/**
 * Replaces CRLF with LF, because browsers send a line break as two characters but count it as one. An empty comment
 * becomes undefined.
 */
function normalizeComment(comment: string): string | undefined {
  return comment.replaceAll('\r\n', '\n').trim() || undefined;
}
