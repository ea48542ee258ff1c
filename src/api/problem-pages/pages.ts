import html from 'html-template-tag';
import { definitionOf, PROBLEM_KINDS, type ProblemKind } from '../problems/problem-kinds.js';
import { renderPage } from '../http/html/html-layout.js';

/** The page that lists every kind of problem. */
export function problemListPage(): string {
  const entries = PROBLEM_KINDS.map(
    (kind) =>
      html`<div>
        <dt>${String(definitionOf(kind).status)}</dt>
        <dd><a href="/problems/${kind}">${kind}</a></dd>
      </div>`,
  );
  return renderPage(
    'Problems',
    html`<h1>Problems</h1>
      <dl>$${entries.join('')}</dl>`,
  );
}

/**
 * The page of one kind of problem. It explains when the API returns the problem, and whether to repeat the request.
 */
export function problemPage(kind: ProblemKind): string {
  const { status, title, when, retryAfter } = definitionOf(kind);
  const retry = retryAfter
    ? 'The same request may succeed later. Wait for the time in the Retry-After header before you send it again.'
    : 'The same request fails again unless something else changes.';
  return renderPage(
    title,
    html`<p class="kind">${kind}, ${String(status)}</p>
      <h1>${title}</h1>
      <p>${when.replaceAll('`', '')}</p>
      <p>${status === 500 ? 'You can send the request again.' : retry}</p>
      <p><a href="/problems">All problems</a></p>`,
  );
}
