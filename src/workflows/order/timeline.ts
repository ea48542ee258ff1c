import type { OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';

/** A list of timeline entries with unique names. An entry starts as `started` and ends with its outcome. */
export class Timeline<Entry extends OrderView['steps'][number] | OrderView['compensations'][number]> {
  private readonly entries: Entry[];
  private readonly create: (name: string, startedAt: string) => Entry;

  constructor(entries: Entry[], create: (name: string, startedAt: string) => Entry) {
    this.entries = entries;
    this.create = create;
  }

  find(name: string): Entry | undefined {
    return this.entries.find((entry) => entry.name === name);
  }

  /** Adds an entry, or restarts an existing entry. */
  start(name: string): Entry {
    const known = this.find(name);
    if (!known) {
      const entry = this.create(name, now());
      this.entries.push(entry);
      return entry;
    }
    known.status = 'started';
    delete known.reason;
    delete known.endedAt;
    return known;
  }

  end(name: string, status: Entry['status'], reason?: Reason): void {
    const entry = this.find(name);
    if (!entry) return;
    entry.status = status;
    if (reason) entry.reason = reason;
    entry.endedAt = now();
  }
}

const now = () => new Date().toISOString();

/** The order as Markdown for the Web UI's "Current Details". Problems for an operator come first. */
export function describeOrder(view: OrderView): string {
  const reason = view.reason ? `: ${view.reason.type}, ${view.reason.message}` : '';
  const head = view.stage === 'done' ? `**${view.status}**${reason}` : `**${view.status}**, ${view.stage}`;
  const paragraphs = [
    head,
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
