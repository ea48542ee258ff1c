import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const envelopeSchema = z.object({
  from: z.string(),
  to: z.array(z.string()),
  receivedAt: z.iso.datetime(),
});

/** Sender and recipients from the SMTP session. The headers of the mail can differ. */
export type Envelope = z.infer<typeof envelopeSchema>;

/** A received mail. `content` is undefined when the mail is stored in a folder. */
export interface StoredMail {
  id: number;
  envelope: Envelope;
  content: Buffer | undefined;
}

// The store writes the envelope as the first line of the file, so a sender cannot forge the envelope.
const ENVELOPE_HEADER = 'X-Envelope: ';

/**
 * Keeps the newest mails in memory, or as `<number>.eml` files in a folder. Only one store at a time may use a folder.
 * The store does not change other files in the folder.
 */
export class MailStore {
  readonly #folder: string | undefined;
  readonly #limit: number;
  readonly #mails = new Map<number, StoredMail>();
  #lastId = 0;

  constructor(folder: string | undefined, limit: number) {
    this.#folder = folder;
    this.#limit = limit;
    if (folder !== undefined) this.#open(folder);
  }

  /** Stores a mail. If the store has a folder, the mail is on disk when the promise resolves. */
  async add(envelope: Envelope, raw: Buffer): Promise<StoredMail> {
    const id = ++this.#lastId;
    const content = Buffer.concat([Buffer.from(`${ENVELOPE_HEADER}${JSON.stringify(envelope)}\r\n`), raw]);
    if (this.#folder !== undefined) await writeDurably(this.#folder, id, content);
    const mail = { id, envelope, content: this.#folder === undefined ? content : undefined };
    this.#mails.set(id, mail);
    await this.#deleteOldest();
    return mail;
  }

  get(id: number): StoredMail | undefined {
    return this.#mails.get(id);
  }

  /** Returns all mails, oldest first. */
  list(): StoredMail[] {
    return [...this.#mails.values()].sort((one, other) => one.id - other.id);
  }

  /** Returns the complete mail, with the envelope as the first header line. */
  async content({ id, content }: StoredMail): Promise<Buffer> {
    return content ?? readFile(mailFile(this.#folder!, id));
  }

  async #deleteOldest(): Promise<void> {
    const oldest = this.list().slice(0, -this.#limit);
    for (const { id } of oldest) this.#mails.delete(id);
    if (this.#folder === undefined) return;
    for (const { id } of oldest) await rm(mailFile(this.#folder, id), { force: true });
  }

  #open(folder: string): void {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) {
      const [, number, ending] = /^([1-9]\d*)\.(eml|part)$/.exec(name) ?? [];
      if (number === undefined) continue;
      const id = Number(number);
      this.#lastId = Math.max(this.#lastId, id);
      if (ending === 'part') rmSync(join(folder, name));
      else {
        const envelope = parseEnvelope(readFileSync(join(folder, name)));
        if (envelope) this.#mails.set(id, { id, envelope, content: undefined });
      }
    }
  }
}

/** Writes a `.part` file and renames it, so that a crash never leaves an incomplete `.eml` file. */
async function writeDurably(folder: string, id: number, content: Buffer): Promise<void> {
  const part = join(folder, `${id}.part`);
  await writeFile(part, content, { flush: true });
  await rename(part, mailFile(folder, id));
  const directory = await open(folder);
  await directory.sync().finally(() => directory.close());
}

function parseEnvelope(content: Buffer): Envelope | undefined {
  const line = content.toString('utf8', 0, content.indexOf('\r\n'));
  if (!line.startsWith(ENVELOPE_HEADER)) return undefined;
  try {
    return envelopeSchema.parse(JSON.parse(line.slice(ENVELOPE_HEADER.length)));
  } catch {
    return undefined;
  }
}

function mailFile(folder: string, id: number): string {
  return join(folder, `${id}.eml`);
}
