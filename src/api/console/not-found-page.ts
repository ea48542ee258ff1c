import type { FastifyReply, FastifyRequest } from 'fastify';
import html from 'html-template-tag';
import { urlHtml } from './components.js';
import { sendConsolePage, type Section } from './layout.js';

interface NotFoundPage {
  /** The resource and its id, for example `order 42`. */
  resource: string;
  section: Section;
  /** Sentences. */
  reasons: readonly string[];
  /** A further paragraph, for example how long a new resource can be missing. */
  hint?: string;
  /** Links to other pages; the first one is a button. */
  links: readonly { text: string; path: string }[];
}

/** Sends the page of a resource that does not exist, with possible reasons. */
export function sendNotFoundPage(
  request: FastifyRequest,
  reply: FastifyReply,
  { resource, section, reasons, hint, links }: NotFoundPage,
): FastifyReply {
  const items = reasons.map((reason) => html`<li>${reason}</li>`);
  const anchors = links.map(({ text, path }, index) =>
    index === 0
      ? html`<a class="button" href="$${urlHtml(path)}">${text}</a>`
      : html`<a href="$${urlHtml(path)}">${text}</a>`,
  );
  const content = html`<h1>There is no ${resource}</h1>
    <p>Possible reasons:</p>
    <ul>
      $${items.join('')}
    </ul>
    $${hint === undefined ? '' : html`<p>${hint}</p>`}
    <p>$${anchors.join(' ')}</p>`;
  return sendConsolePage(request, reply, { title: `No ${resource}`, section, status: 404, content });
}
