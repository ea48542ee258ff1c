import html from 'html-template-tag';
import type { BulkItem } from '../../../schemas/bulk.js';
import { badgeHtml, formatCount, noticeHtml, tableParts, urlHtml, type Tone } from '../components.js';
import { capitalize } from '../forms/problems.js';
import { CONSOLE_PATH } from '../contract.js';
import { linkHtml, type BulkSubject } from './pages.js';

const RESULTS: Record<BulkItem['result'], { text: string; tone: Tone }> = {
  planned: { text: 'planned', tone: 'neutral' },
  done: { text: 'done', tone: 'good' },
  rejected: { text: 'not possible', tone: 'attention' },
  failed: { text: 'failed', tone: 'bad' },
  not_started: { text: 'not started', tone: 'neutral' },
};

interface ResultPage {
  subject: BulkSubject;
  action: string;
  /** The number of selected resources. */
  count: number;
}

/** The parts of the page with the result of each resource, in the order in which they are sent. */
export function resultParts({ subject, action, count }: ResultPage) {
  const { one, many, path } = subject;
  const { label } = subject.actions[action]!;
  const selected = count === 1 ? `1 ${one} is` : `${count} ${many} are`;
  const table = tableParts<{ item: BulkItem; number: number }>('Results', [
    {
      title: 'Progress',
      cellHtml: ({ number }) => html`${formatCount(number)} of ${formatCount(count)}`,
    },
    { title: capitalize(one), cellHtml: ({ item }) => linkHtml(subject, item.id) },
    {
      title: 'Result',
      cellHtml: ({ item: { result } }) => badgeHtml(RESULTS[result].text, RESULTS[result].tone),
    },
    { title: 'Reason', cellHtml: ({ item: { detail = '' } }) => html`${detail}` },
  ]);
  return {
    start: html`<h1>${label}: result</h1>
      <p>
        ${selected} selected. A row appears for each ${one} as soon as its change has ended. The page is complete when
        the summary appears at the end. If you leave the page before that, no further ${one} changes.
      </p>
      $${table.start}`,
    rowHtml: table.rowHtml,
    end: (items: readonly BulkItem[]) =>
      html`$${table.end} $${summaryHtml(items)}
        <p class="actions">
          <a href="$${urlHtml(`${CONSOLE_PATH}/bulk/${path}?action=${action}`)}">Act on more ${many}</a>
          <a href="$${urlHtml(`${CONSOLE_PATH}/${path}`)}">All ${many}</a>
        </p>`,
    failure: html`$${table.end}
    $${noticeHtml(
      'bad',
      html`<p>
        The server stopped because of an error. The changes with a row above have ended. Select the ${many} without a
        row again: some of them may have changed already, and then no longer match.
      </p>`,
      { alert: true },
    )}`,
  };
}

/** The number of resources with each result, for example `48 done, 2 not possible`. */
export function countsText(items: readonly BulkItem[]): string {
  const counts = Object.entries(RESULTS).flatMap(([result, { text }]) => {
    const count = items.filter((item) => item.result === result).length;
    return count === 0 ? [] : [`${count} ${text}`];
  });
  return counts.join(', ');
}

function summaryHtml(items: readonly BulkItem[]): string {
  const isComplete = items.every(({ result }) => result === 'done');
  const again = items.some(({ result }) => result === 'failed' || result === 'not_started')
    ? html`<p>Repeat the action for those that failed or were not started.</p>`
    : '';
  const content = html`<p><strong>${countsText(items)}.</strong></p>
    $${again}`;
  return html`<div class="summary">$${noticeHtml(isComplete ? 'good' : 'attention', content, { alert: true })}</div>`;
}
