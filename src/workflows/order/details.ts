import type { OrderView } from '../../schemas/order.js';

/** Renders an order as Markdown for the "Current Details" of the Web UI. Problems for an operator come first. */
export function describeOrder(view: OrderView): string {
  const reason = view.reason ? `: ${view.reason.type}, ${view.reason.message}` : '';
  const summary = view.stage === 'done' ? `**${view.status}**${reason}` : `**${view.status}**, ${view.stage}`;
  const paragraphs = [
    summary,
    markdownList('Needs an operator', attentionItemsOf(view)),
    markdownList(
      'Steps',
      view.steps.map(({ name, status }) => `${name}: ${status}`),
    ),
    markdownList(
      'Compensations',
      view.compensations.map(({ name, status }) => `${name}: ${status}`),
    ),
  ];
  return paragraphs.filter((paragraph) => paragraph !== '').join('\n\n');
}

function attentionItemsOf({ compensations, delivery }: OrderView): string[] {
  const stuck = compensations
    .filter(({ status }) => status === 'stuck')
    .map(({ name, attempt, reason, nextAttemptAt }) => {
      const next = nextAttemptAt ? `; next retry at ${nextAttemptAt}` : '';
      return `${name} is stuck after attempt ${attempt}: ${reason?.message ?? ''}. Retry or skip it${next}`;
    });
  const overdue = delivery?.overdueSince
    ? [
        `The delivery is overdue since ${delivery.overdueSince} (attempt ${delivery.attempt}). Wait, write off or delivered`,
      ]
    : [];
  return [...stuck, ...overdue];
}

/** Markdown needs a blank line between a paragraph and a list. */
const markdownList = (title: string, items: string[]): string =>
  items.length ? [`${title}:`, '', ...items.map((item) => `- ${item}`)].join('\n') : '';
