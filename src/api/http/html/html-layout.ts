import { createHash } from 'node:crypto';
import html from 'html-template-tag';

/** Text has a contrast ratio of at least 4.5 with its background. Borders that convey meaning have at least 3. */
const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #eef1f5;
  --paper: #ffffff;
  --ink: #1b1f24;
  --quiet: #535b66;
  --line: #dbe0e6;
  --edge: #737c88;
  --focus: #0b57d0;
  --on-button: #ffffff;
  --yes: #12693a;
  --yes-ground: #e7f4ec;
  --no: #ad1f1f;
  --no-ground: #fcecec;
  --note-ground: #f1f4f8;
  font: 1.0625rem/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #101317;
    --paper: #1a1f25;
    --ink: #e9edf2;
    --quiet: #a7b1bd;
    --line: #323a44;
    --edge: #7d8894;
    --focus: #8ab4f8;
    --on-button: #0d1014;
    --yes: #6fd39a;
    --yes-ground: #16301f;
    --no: #ff9d96;
    --no-ground: #3a1d1d;
    --note-ground: #242b33;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); }
main { min-height: 100vh; padding: 1.5rem 1.25rem 3rem; background: var(--paper); overflow-wrap: anywhere; }
main > :first-child { margin-top: 0; }
main > :last-child, form > :last-child { margin-bottom: 0; }
h1 { margin: 0 0 1rem; font-size: 1.625rem; line-height: 1.25; text-wrap: balance; }
h2 { margin: 0 0 .25rem; font-size: 1.25rem; line-height: 1.3; }
p { margin: 0 0 1rem; }
.kind { margin-bottom: .375rem; color: var(--quiet); font-size: .9375rem; }
.typed { white-space: pre-line; }
dl { margin: 1.5rem 0; border-top: 1px solid var(--line); }
dl > div { padding: .5rem 0; border-bottom: 1px solid var(--line); }
dt { color: var(--quiet); font-size: .9375rem; }
dd { margin: 0; }
.amount { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.more { color: var(--quiet); font-size: .9375rem; }
.box { margin: 0 0 1.5rem; padding: 1rem 1.125rem; border-inline-start: .3125rem solid var(--edge); border-radius: .375rem; background: var(--note-ground); }
.box > :last-child { margin-bottom: 0; }
.box.approved { border-color: var(--yes); background: var(--yes-ground); }
.box.rejected, .box.problem { border-color: var(--no); background: var(--no-ground); }
.box.approved h2::before { content: '✓ ' / ''; }
.box.rejected h2::before { content: '✕ ' / ''; }
.box.problem p { font-weight: 600; }
.box li + li { margin-top: .375rem; }
.box ul { margin: 0; padding-inline-start: 1.25rem; }
blockquote { margin: .75rem 0 0; padding-top: .75rem; border-top: 1px solid var(--edge); }
label { font-weight: 600; }
label span { font-weight: 400; color: var(--quiet); }
.hint { margin-bottom: .5rem; color: var(--quiet); font-size: .9375rem; }
.wrong { margin-bottom: .5rem; color: var(--no); font-weight: 600; }
textarea { display: block; width: 100%; min-height: 7rem; padding: .625rem .75rem; border: 1px solid var(--edge); border-radius: .5rem; background: var(--paper); color: inherit; font: inherit; resize: vertical; }
input[type='password'] { display: block; width: 100%; min-height: 3rem; padding: .625rem .75rem; border: 1px solid var(--edge); border-radius: .5rem; background: var(--paper); color: inherit; font: inherit; }
textarea[aria-invalid] { border: 2px solid var(--no); }
.buttons { display: grid; gap: .75rem; margin: 1rem 0; }
button { min-height: 3rem; padding: .625rem 1.5rem; border: 2px solid; border-radius: .5rem; font: inherit; font-weight: 600; cursor: pointer; }
button.approve { border-color: var(--yes); background: var(--yes); color: var(--on-button); }
button.reject { border-color: var(--no); background: var(--paper); color: var(--no); }
button:hover { text-decoration: underline; text-underline-offset: .2em; }
a { color: var(--focus); }
.problem a { color: var(--no); font-weight: 600; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 3px; }
@media (min-width: 20rem) {
  dl > div { display: grid; grid-template-columns: 7rem 1fr; gap: .75rem; align-items: baseline; }
}
@media (min-width: 30rem) {
  .buttons { grid-template-columns: 1fr 1fr; }
  dl > div { grid-template-columns: 9rem 1fr; }
}
@media (min-width: 45rem) {
  main { max-width: 42rem; min-height: 0; margin: 3rem auto; padding: 2.25rem 2.5rem 2.5rem; border: 1px solid var(--line); border-radius: .875rem; }
  h1 { font-size: 1.875rem; }
}
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/**
 * Headers of every page and redirect. They forbid scripts, caching and indexing. They also forbid the referrer, because
 * it would reveal the link.
 */
export const HTML_PAGE_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': [
    `default-src 'none'`,
    `style-src 'sha256-${STYLE_HASH}'`,
    `form-action 'self'`,
    `frame-ancestors 'none'`,
    `base-uri 'none'`,
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-robots-tag': 'noindex',
} as const;

// `STYLE_HASH` covers exactly these bytes. The element is not part of the template below, because a formatter could
// change the bytes there.
const STYLE_ELEMENT = `<style>${STYLE}</style>`;

/** A complete page. `content` is HTML, `title` is plain text. */
export function renderPage(title: string, content: string): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        $${STYLE_ELEMENT}
      </head>
      <body>
        <main>$${content}</main>
      </body>
    </html> `;
}
