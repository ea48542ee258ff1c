import type { OrderView, TimelineEntry } from '../../schemas/order.js';
import type { Reason } from '../../schemas/reason.js';

/** Keeps a list of timeline entries: each name has at most one entry, which moves from `started` to how it ended. */
export class Timeline<Status extends string> {
  private readonly entries: TimelineEntry<Status | 'started'>[];
  private readonly now: () => string;

  constructor(entries: TimelineEntry<Status | 'started'>[], now: () => string) {
    this.entries = entries;
    this.now = now;
  }

  start(name: string): void {
    const entry = this.entries.find((candidate) => candidate.name === name);
    if (entry) {
      entry.status = 'started';
      delete entry.reason;
      delete entry.endedAt;
      delete entry.nextTryAt;
    } else this.entries.push({ name, status: 'started', startedAt: this.now() });
  }

  /** Changes the status without ending the entry; `nextTryAt` is when it starts again by itself, if it does. */
  mark(name: string, status: Status, reason?: Reason, nextTryAt?: string): void {
    const entry = this.entries.find((candidate) => candidate.name === name);
    if (!entry) return;
    entry.status = status;
    if (reason) entry.reason = reason;
    if (nextTryAt) entry.nextTryAt = nextTryAt;
    else delete entry.nextTryAt;
  }

  end(name: string, status: Status, reason?: Reason): void {
    this.mark(name, status, reason);
    const entry = this.entries.find((candidate) => candidate.name === name);
    if (entry) entry.endedAt = this.now();
  }
}

/** The order as the Web UI shows it under "Current Details": Markdown, a few lines. */
export function describeOrder(view: OrderView): string {
  const reason = view.reason ? `: ${view.reason.type}, ${view.reason.message}` : '';
  const head = view.stage === 'done' ? `**${view.status}**${reason}` : `**${view.status}**, ${view.stage}`;
  const steps = view.steps.map(({ name, status }) => `- ${name}: ${status}`);
  const undone = view.compensations.map(({ name, status, reason: why, nextTryAt }) => {
    if (status !== 'stuck') return `- ${name}: ${status}`;
    const next = nextTryAt ? `, or it is tried again at ${nextTryAt}` : '';
    return `- ${name}: **stuck**, ${why?.message ?? ''}; retry or skip it${next}`;
  });
  return [head, '', ...steps, ...(undone.length ? ['', 'Compensations:', ...undone] : [])].join('\n');
}
