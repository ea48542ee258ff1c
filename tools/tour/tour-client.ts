import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { connectApi, type ApiClient, type Schemas } from '../api-client/client.js';
import { waitUntil } from '../processes/wait.js';

/** The addresses that the tour uses, and its output. */
export interface TourAddresses {
  /** The API's processes. */
  apiUrls: readonly [string, ...string[]];
  /** If missing, the tour prints workflow ids instead of links. */
  webUiUrl?: string | undefined;
  namespace: string;
  /** The URL of the fake mailbox. Missing when the shop sends mails elsewhere. */
  mailboxUrl?: string | undefined;
  print: (text: string) => void;
}

const mailsSchema = z.object({ mails: z.array(z.object({ text: z.string() })) });

/** A response of the typed client. */
interface ApiResponse {
  data?: unknown;
  error?: unknown;
  response: Response;
}

/** Thrown when an outcome differs from the expected one. */
export class UnexpectedOutcomeError extends Error {
  override readonly name = 'UnexpectedOutcomeError';
}

/**
 * Calls the HTTP API and prints its requests. Throws UnexpectedOutcomeError when an outcome differs from the expected
 * one.
 */
export class TourClient {
  readonly print: (text: string) => void;
  /** Prints every response. */
  readonly api: ApiClient;
  /** Sends requests without printing the responses, for polling. */
  readonly silentApi: ApiClient;
  private readonly addresses: TourAddresses;

  constructor(addresses: TourAddresses) {
    this.addresses = addresses;
    this.print = addresses.print;
    this.silentApi = connectApi(addresses.apiUrls);
    this.api = connectApi(addresses.apiUrls, ({ method, url }, { status }) => {
      const { pathname, search } = new URL(url);
      this.print(`  ${method} ${pathname}${search} -> ${status}`);
    });
  }

  /**
   * Checks that the API allows access. @throws UnexpectedOutcomeError when the API returns 401 or 403, because the tour
   * then needs an API key with all roles that it uses.
   */
  async checkAccess(): Promise<void> {
    const { response } = await this.silentApi.GET('/v1/batches', { params: { query: { limit: 1 } } });
    if (response.status !== 401 && response.status !== 403) return;
    throw new UnexpectedOutcomeError(
      'the API requires authentication. Set API_KEY to a key of shift-lead. With docker compose, the key is in .env: ' +
        'set -a; . ./.env; set +a. Otherwise: npm run api-key -- shift-lead --role shopper --role operator --role approver',
    );
  }

  /** Returns the body of a response. @throws UnexpectedOutcomeError when the response has another status. */
  async expectStatus<T extends ApiResponse>(status: number, call: Promise<T>): Promise<NonNullable<T['data']>> {
    const { data, error, response } = await call;
    if (response.status !== status || data === undefined || data === null)
      throw unexpectedStatusError(status, response, error);
    return data;
  }

  /** Returns the error body of a rejected call. @throws UnexpectedOutcomeError when the response has another status. */
  async expectError<T extends ApiResponse>(status: number, call: Promise<T>): Promise<NonNullable<T['error']>> {
    const { data, error, response } = await call;
    if (response.status !== status || error === undefined || error === null)
      throw unexpectedStatusError(status, response, data);
    return error;
  }

  /** Requests a page or submits its form, like a browser without JavaScript. @returns the HTML. */
  async requestPage(method: 'GET' | 'POST', url: string, form?: Record<string, string>): Promise<string> {
    const response = await fetch(url, { method, ...(form && { body: new URLSearchParams(form) }) });
    this.print(`  ${method} ${new URL(url).pathname.replace(/(.{20}).+/, '$1…')} -> ${response.status}`);
    if (!response.ok) throw new UnexpectedOutcomeError(`${method} request for the page returned ${response.status}`);
    return await response.text();
  }

  /**
   * Waits for a mail that contains `about` and returns its link to `path`. Returns undefined when there is no fake
   * mailbox.
   */
  async findMailLink(to: string, path: string, about: string): Promise<string | undefined> {
    const { mailboxUrl } = this.addresses;
    if (mailboxUrl === undefined) return undefined;
    const inbox = new URL(`/test/mails?to=${encodeURIComponent(to)}`, mailboxUrl);
    return await waitUntil(
      async () => {
        const { mails } = mailsSchema.parse(await (await fetch(inbox)).json());
        const text = mails.find((mail) => mail.text.includes(about))?.text;
        return text?.split(/\s+/).find((word) => URL.canParse(word) && new URL(word).pathname.startsWith(path));
      },
      { description: `the mail to ${to}`, timeoutMs: 30_000, intervalMs: 100 },
    );
  }

  /** Polls a resource until `matches` accepts it. */
  async pollUntil<T extends ApiResponse>(
    read: () => Promise<T>,
    matches: (resource: NonNullable<T['data']>) => boolean,
    what: string,
  ): Promise<NonNullable<T['data']>> {
    return await waitUntil(
      async () => {
        const resource = await this.expectStatus(200, read());
        return matches(resource) ? resource : undefined;
      },
      { description: what, timeoutMs: 60_000, intervalMs: 100 },
    );
  }

  /** Polls a resource until `matches` accepts it and it has not changed for a second. */
  async pollUntilStable<T extends ApiResponse>(
    read: () => Promise<T>,
    matches: (resource: NonNullable<T['data']>) => boolean,
    what: string,
  ): Promise<NonNullable<T['data']>> {
    let before: string | undefined;
    return await waitUntil(
      async () => {
        const resource = await this.expectStatus(200, read());
        const now = JSON.stringify(resource);
        const isSame = now === before;
        before = now;
        return isSame && matches(resource) ? resource : undefined;
      },
      { description: what, timeoutMs: 60_000, intervalMs: 1_000 },
    );
  }

  /** Polls until the response has this status. */
  async pollUntilStatus(status: number, read: () => Promise<ApiResponse>, what: string): Promise<void> {
    await waitUntil(async () => ((await read()).response.status === status ? true : undefined), {
      description: what,
      timeoutMs: 60_000,
      intervalMs: 200,
    });
  }

  /** Prints the link to a workflow in the Web UI. Without a Web UI, prints the workflow id. */
  printWorkflowLink({ workflowId, runId }: { workflowId: string; runId?: string }): void {
    const { webUiUrl, namespace } = this.addresses;
    this.print(
      webUiUrl
        ? `  ${webUiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}${runId ? `/${runId}/history` : ''}`
        : `  workflow ${workflowId}`,
    );
  }

  assert(holds: boolean, expectation: string): void {
    if (!holds) throw new UnexpectedOutcomeError(`expected: ${expectation}`);
    this.print(`  as expected: ${expectation}`);
  }
}

const unexpectedStatusError = (status: number, { url, status: actual }: Response, body: unknown) =>
  new UnexpectedOutcomeError(`${new URL(url).pathname} returned ${actual}, not ${status}: ${JSON.stringify(body)}`);

/**
 * Reads an input file of `examples/`. The type argument is the name of its API schema. Only the API validates the file.
 */
export async function readExample<Name extends keyof Schemas>(_name: Name, file: string): Promise<Schemas[Name]> {
  const text = await readFile(new URL(`../../examples/${file}`, import.meta.url), 'utf8');
  return JSON.parse(text) as Schemas[Name];
}

/** A scenario of the tour. */
export interface Scenario {
  title: string;
  run: (client: TourClient) => Promise<void>;
}
