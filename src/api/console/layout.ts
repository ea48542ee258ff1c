import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import html from 'html-template-tag';
import { ANONYMOUS, VISITOR, type Caller } from '../http/caller.js';
import { sendHtmlPage } from '../http/html/html-pages.js';
import { CONSOLE_PATH } from './contract.js';
import { startPathOf } from './sign-in/paths.js';

export interface ConsolePage {
  title: string;
  /** The entry of the navigation to which the page belongs. */
  section?: Section;
  /** HTML. */
  content: string;
  /** 200 by default. */
  status?: number;
  /** The path of the event stream that updates the content. Without it, the page does not change. */
  livePath?: string | undefined;
}

export type Section = keyof typeof SECTIONS;

/** The entries of the navigation, and the roles that see them. */
const SECTIONS = {
  home: { title: 'Home', path: '', roles: ['operator', 'shopper', 'approver'] },
  orders: { title: 'Orders', path: '/orders', roles: ['operator', 'shopper'] },
  approvals: { title: 'Approvals', path: '/approvals', roles: ['operator', 'approver'] },
  batches: { title: 'Batches', path: '/batches', roles: ['operator'] },
  carts: { title: 'Carts', path: '/carts', roles: ['operator', 'shopper'] },
  products: { title: 'Products', path: '/products', roles: ['operator', 'shopper', 'approver', 'inspector'] },
  start: { title: 'Start', path: '/start', roles: ['operator', 'shopper', 'approver'] },
} as const;

/** Allows resources only from the same origin, and no inline code. */
export const CONSOLE_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': [
    `default-src 'none'`,
    `script-src 'self'`,
    `style-src 'self'`,
    `img-src 'self' data:`,
    `connect-src 'self'`,
    `form-action 'self'`,
    `frame-ancestors 'none'`,
    `base-uri 'none'`,
  ].join('; '),
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-robots-tag': 'noindex',
} as const;

/** Sends a page of the console with the navigation of the caller. */
export function sendConsolePage({ caller }: FastifyRequest, reply: FastifyReply, page: ConsolePage): FastifyReply {
  const { status = 200 } = page;
  return sendHtmlPage(reply, renderConsolePage(page, caller), { status, headers: CONSOLE_HEADERS });
}

/**
 * Sends a page whose content takes long: `page.content` at once, and then what `writeRest` writes. If `writeRest` fails,
 * the page ends with `failureHtml`. Set `handlerTimeout` of the route, because Fastify cuts the page after this time.
 */
export function sendConsolePageInParts(
  { caller, log }: FastifyRequest,
  reply: FastifyReply,
  page: Omit<ConsolePage, 'status' | 'livePath'>,
  { writeRest, failureHtml }: { writeRest: (write: (html: string) => void) => Promise<void>; failureHtml: string },
): FastifyReply {
  const [start, end] = renderPageParts(page, caller);
  // After the client has disconnected, the stream is destroyed and ignores what is written.
  const body = new Readable({ read: () => undefined });
  body.push(start + page.content);
  writeRest((html) => void body.push(html))
    .catch((error: unknown) => {
      log.error({ err: error }, 'a page failed after its first part was sent');
      body.push(failureHtml);
    })
    .finally(() => {
      body.push(end);
      body.push(null);
    });
  // `x-accel-buffering` turns off the buffer of nginx. `connection: close` is sent in advance, because a shutdown that
  // begins while the page is sent can no longer set this header.
  return reply
    .headers({ ...CONSOLE_HEADERS, 'x-accel-buffering': 'no', connection: 'close' })
    .type('text/html; charset=utf-8')
    .send(body);
}

/**
 * Redirects after a form was processed, so that a reload does not send the form again. `path` is relative to the
 * console.
 */
export const redirectWithinConsole = (reply: FastifyReply, path: string): FastifyReply =>
  reply.headers(CONSOLE_HEADERS).redirect(`${CONSOLE_PATH}${path}`, 303);

/** The script shows one of these messages while the page is not live. */
const CONNECTION_MESSAGES = html`<div id="connection" aria-live="polite">
  <p data-state="interrupted" hidden>The connection to the server is interrupted. This page may be out of date.</p>
  <p data-state="signed-out" hidden>Your session has ended. <a href="">Reload this page</a> to sign in again.</p>
</div>`;

/** Shown on live pages when the browser runs no scripts. */
export const RELOAD_HINT = html`<noscript>
  <p class="no-script">
    This page does not update automatically, because the browser runs no scripts. <a href="">Reload the page</a> to see
    the current state.
  </p>
</noscript>`;

/** Marks the place of the content in the template. Escaped text cannot contain it. */
const CONTENT = '<!--content-->';

export function renderConsolePage(page: ConsolePage, caller: Caller): string {
  const [start, end] = renderPageParts(page, caller);
  return start + page.content + end;
}

/** The HTML before and after the content. */
function renderPageParts(
  { title, section, livePath }: Omit<ConsolePage, 'content'>,
  caller: Caller,
): [start: string, end: string] {
  const live = livePath === undefined ? '' : html` data-live="${livePath}"`;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · Shop console</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="$${CONSOLE_PATH}/assets/console.css" />
        <script type="module" src="$${CONSOLE_PATH}/assets/console.js"></script>
      </head>
      <body>
        <a class="skip" href="#content">Skip to content</a>
        <header class="bar">
          <a class="brand" href="$${CONSOLE_PATH + startPathOf(caller)}">Shop console</a>
          $${caller === VISITOR ? '' : navigation(section, caller) + account(caller)}
        </header>
        $${livePath === undefined ? '' : CONNECTION_MESSAGES + RELOAD_HINT}
        <main id="content" tabindex="-1" $${live}>$${CONTENT}</main>
      </body>
    </html> `;
  const [start = '', end = ''] = page.split(CONTENT);
  return [start, end];
}

function navigation(current: Section | undefined, { roles }: Caller): string {
  const items = Object.entries(SECTIONS)
    .filter(([, section]) => section.roles.some((role) => roles.includes(role)))
    .map(([name, { title, path }]) => {
      const isCurrent = name === current ? ' aria-current="page"' : '';
      return html`<li><a href="$${CONSOLE_PATH + path}" $${isCurrent}>${title}</a></li>`;
    })
    .join('');
  return html`<nav aria-label="Main">
    <ul>
      $${items}
    </ul>
  </nav>`;
}

/** Shows who is signed in and with which roles, with a button to sign out. */
function account(caller: Caller): string {
  if (caller === ANONYMOUS) return html`<p class="account">No sign-in needed</p>`;
  const { id, roles } = caller;
  return html`<form class="account" method="post" action="$${CONSOLE_PATH}/sign-out">
    <a href="$${CONSOLE_PATH}/account">${id}</a> <span>(${roles.join(', ')})</span>
    <button class="plain">Sign out</button>
  </form>`;
}
