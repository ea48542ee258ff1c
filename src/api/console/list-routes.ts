import type { FastifyInstance, FastifyRequest } from 'fastify';
import { queryString } from './components.js';
import { withConsoleContract, withLiveContract } from './contract.js';
import { redirectWithinConsole, sendConsolePage, type Section } from './layout.js';
import type { LiveStreams } from './live-streams.js';
import { validQueryOf, type ListFilter } from './query.js';

interface ListQuery {
  cursor?: string | undefined;
}

/** A page of a list that a request asks for. */
interface RequestedPage<Page> {
  /** Viewers with the same key share their reads, so it contains everything that `read` depends on. */
  key: string;
  read: () => Promise<Page>;
  /** Returns the content of the page for this caller. */
  render: (page: Page) => string;
}

/** A list that a request asks for. */
interface RequestedList<Query extends ListQuery, Page> {
  /** Values of the query string that are no part of the filter. Live updates get them too. */
  view?: Readonly<Record<string, string>>;
  /** The content of the page while the filter is invalid. */
  invalidHtml: () => string;
  open: (query: Query) => RequestedPage<Page>;
  /** Returns the path of the page that is opened instead of the list. It is relative to the console. */
  redirect?: (query: Query) => string | undefined;
}

interface ListRoutes<Query extends ListQuery, Page> {
  title: string;
  section: Section;
  path: string;
  /** The last part of the path of the live updates. `_live` cannot be the id of a resource. */
  livePath: 'live' | '_live';
  access: Parameters<typeof withConsoleContract>[0]['access'];
  /** The operation that opens the list, and the operation that follows it. */
  contracts: Record<'open' | 'follow', { operationId: string; summary: string }>;
  parseFilter: (query: unknown) => ListFilter<Query>;
  listOf: (request: FastifyRequest, filter: ListFilter<Query>) => RequestedList<Query, Page>;
}

/** Registers the page of a list and its live updates. An invalid filter gets 400 and the form as it was typed. */
export function registerListRoutes<Query extends ListQuery, Page>(
  app: FastifyInstance,
  { liveStreams }: { liveStreams: LiveStreams },
  { title, section, path, livePath, access, contracts, parseFilter, listOf }: ListRoutes<Query, Page>,
): void {
  app.get('', withConsoleContract({ ...contracts.open, access }), async (request, reply) => {
    const filter = parseFilter(request.query);
    const { typed, query } = filter;
    const { view, invalidHtml, open, redirect } = listOf(request, filter);
    if (!query) return sendConsolePage(request, reply, { title, section, status: 400, content: invalidHtml() });
    const otherPage = redirect?.(query);
    if (otherPage !== undefined) return redirectWithinConsole(reply, otherPage);
    const { read, render } = open(query);
    return sendConsolePage(request, reply, {
      title,
      section,
      content: render(await read()),
      // Later pages do not change, because new entries appear on the first page.
      livePath: query.cursor === undefined ? `${path}/${livePath}${queryString({ ...view, ...typed })}` : undefined,
    });
  });

  app.get(`/${livePath}`, withLiveContract({ ...contracts.follow, access }), async (request, reply) => {
    const filter = parseFilter(request.query);
    const page = listOf(request, filter).open(validQueryOf(filter));
    // A problem, for example an invalid cursor, must have its status. A stream has sent 200 already.
    return liveStreams.send(request, reply, { ...page, first: await page.read() });
  });
}
