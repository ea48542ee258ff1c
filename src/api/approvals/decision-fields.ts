import html from 'html-template-tag';
import { MAX_COMMENT_LENGTH } from '../../schemas/approval.js';
import type { DecisionDraft } from './decision-form.js';

// The parts of the form with which an approver decides. The page of a link and the page of the console show the same
// form, each with its own stylesheet.

/** Why an approver cannot decide their own request. */
export const OWN_REQUEST_TEXT = 'You requested this approval yourself, so someone else must decide.';

/** The comment and the two buttons. */
export function decisionFieldsHtml({ comment, problems }: DecisionDraft): string {
  const problem = problems.find(({ field }) => field === 'comment');
  const describedBy = problem ? 'comment-hint comment-problem' : 'comment-hint';
  const invalid = problem ? 'aria-invalid="true"' : '';
  // Browsers ignore the line break at the start of a textarea.
  return html`<label for="comment">Comment <span class="quiet">(optional)</span></label>
    <p class="hint" id="comment-hint">
      At most ${MAX_COMMENT_LENGTH.toLocaleString('en')} characters. The comment is stored with your decision.
    </p>
    $${problem ? html`<p class="wrong" id="comment-problem">${problem.detail}</p>` : ''}
    <textarea id="comment" name="comment" rows="4" dir="auto" aria-describedby="${describedBy}" $${invalid}>
${comment}</textarea>
    <div class="actions buttons">
      <button class="primary approve" id="approve" name="decision" value="approve">Approve</button>
      <button class="danger reject" name="decision" value="reject">Reject</button>
    </div>
    <p class="hint">The first decision counts. It cannot be changed.</p>`;
}

/** Says that a decision was not recorded, and why, with links to the inputs. */
export function decisionProblemsHtml(problems: DecisionDraft['problems']): string {
  const items = problems.map(({ field, detail }) =>
    field === 'comment'
      ? html`<li><a href="#comment">${detail}</a></li>`
      : html`<li><a href="#approve">${detail}</a></li>`,
  );
  return html`<p><strong>Your decision was not recorded.</strong></p>
    <ul>
      $${items.join('')}
    </ul>`;
}
