import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { waitUntil } from '../wait.js';

/** Where the tour finds what it visits. */
export interface Places {
  apiUrl: string;
  /** Without one, the tour gives workflow ids instead of links. */
  webUiUrl?: string | undefined;
  namespace: string;
  /** The played mailbox, if mails go there. */
  mailsUrl?: string | undefined;
  say: (text: string) => void;
}

const mailsSchema = z.object({ mails: z.array(z.object({ text: z.string() })) });

export interface Answer {
  status: number;
  body: unknown;
}

/** An outcome was not the expected one. */
export class Surprise extends Error {
  override readonly name = 'Surprise';
}

/** A client of the HTTP API that tells what it does, and notices when something is not as it should be. */
export class Guide {
  readonly say: (text: string) => void;
  private readonly places: Places;

  constructor(places: Places) {
    this.places = places;
    this.say = places.say;
  }

  /** A body that is text is sent as it is, others as JSON. */
  async request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${this.places.apiUrl}${path}`, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text ? (JSON.parse(text) as unknown) : undefined };
  }

  /** Like `request`, and says it. @throws Surprise when the status is another. */
  async expect(
    status: number,
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<unknown> {
    const answer = await this.request(method, path, body, headers);
    this.say(`  ${method} ${path} -> ${answer.status}`);
    if (answer.status !== status) {
      throw new Surprise(`${method} ${path} answered ${answer.status}, not ${status}: ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }

  /** Opens a page as a browser without JavaScript would, or sends its form. @returns its HTML. */
  async page(method: 'GET' | 'POST', url: string, form?: Record<string, string>): Promise<string> {
    const response = await fetch(url, { method, ...(form && { body: new URLSearchParams(form) }) });
    this.say(`  ${method} ${new URL(url).pathname.replace(/(.{20}).+/, '$1…')} -> ${response.status}`);
    if (!response.ok) throw new Surprise(`${method} of the page answered ${response.status}`);
    return await response.text();
  }

  /** The link in the mail that says `about`, or undefined where mails are not kept by the played mailbox. */
  async linkInMail(to: string, path: string, about: string): Promise<string | undefined> {
    const { mailsUrl } = this.places;
    if (mailsUrl === undefined) return undefined;
    const inbox = new URL(`/test/mails?to=${encodeURIComponent(to)}`, mailsUrl);
    return await waitUntil(
      async () => {
        const { mails } = mailsSchema.parse(await (await fetch(inbox)).json());
        const text = mails.find((mail) => mail.text.includes(about))?.text;
        return text?.split(/\s+/).find((word) => URL.canParse(word) && new URL(word).pathname.startsWith(path));
      },
      { what: `the mail to ${to}`, deadlineMs: 30_000, everyMs: 100 },
    );
  }

  /** Reads a resource until it is as wanted. */
  async watch<T extends z.ZodType>(path: string, schema: T, wanted: (resource: z.infer<T>) => boolean, what: string) {
    return await waitUntil(
      async () => {
        const { status, body } = await this.request('GET', path);
        if (status !== 200) throw new Error(`GET ${path} answered ${status}`);
        const resource = schema.parse(body);
        return wanted(resource) ? resource : undefined;
      },
      { what, deadlineMs: 60_000, everyMs: 100 },
    );
  }

  /** Reads a resource until it is as wanted and, a second later, still the same. */
  async settled<T extends z.ZodType>(path: string, schema: T, wanted: (resource: z.infer<T>) => boolean) {
    let before: string | undefined;
    return await waitUntil(
      async () => {
        const resource = schema.parse((await this.request('GET', path)).body);
        const now = JSON.stringify(resource);
        const isSame = now === before;
        before = now;
        return isSame && wanted(resource) ? resource : undefined;
      },
      { what: `${path} coming to rest`, deadlineMs: 60_000, everyMs: 1_000 },
    );
  }

  /** Reads a path until it answers with this status. */
  async until(status: number, path: string, what: string): Promise<void> {
    await waitUntil(async () => ((await this.request('GET', path)).status === status ? true : undefined), {
      what,
      deadlineMs: 60_000,
      everyMs: 200,
    });
  }

  /** Says where people see a workflow. */
  show({ workflowId, runId }: { workflowId: string; runId?: string }): void {
    const { webUiUrl, namespace } = this.places;
    this.say(
      webUiUrl
        ? `  ${webUiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}${runId ? `/${runId}/history` : ''}`
        : `  workflow ${workflowId}`,
    );
  }

  check(holds: boolean, expectation: string): void {
    if (!holds) throw new Surprise(`expected: ${expectation}`);
    this.say(`  as expected: ${expectation}`);
  }
}

/** An input file of `examples/`. */
export async function example(name: string): Promise<Record<string, unknown>> {
  const text = await readFile(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
  return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
}

/** One stop of the tour. */
export interface Scene {
  title: string;
  play: (guide: Guide) => Promise<void>;
}
