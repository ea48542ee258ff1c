import type { OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';

/** A list of timeline entries with unique names. An entry has the status `started` until its outcome is known. */
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
    const existing = this.find(name);
    if (!existing) {
      const entry = this.create(name, now());
      this.entries.push(entry);
      return entry;
    }
    existing.status = 'started';
    delete existing.reason;
    delete existing.endedAt;
    return existing;
  }

  /** Sets the outcome of an entry. Does nothing if there is no entry with this name. */
  end(name: string, status: Entry['status'], reason?: Reason): void {
    const entry = this.find(name);
    if (!entry) return;
    entry.status = status;
    if (reason) entry.reason = reason;
    entry.endedAt = now();
  }
}

const now = () => new Date().toISOString();
