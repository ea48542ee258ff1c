import type { FastifyReply } from 'fastify';
import html from 'html-template-tag';

/** The headers of a page that runs no scripts. `formAction` says where its forms may be sent. */
export const pageHeaders = (formAction: 'none' | 'self') => ({
  'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; form-action '${formAction}'; base-uri 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
});

interface Page {
  title: string;
  /** HTML. */
  content: string;
  style: string;
  formAction: 'none' | 'self';
}

export function sendPage(reply: FastifyReply, { title, content, style, formAction }: Page): FastifyReply {
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          $${style}
        </style>
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          $${content}
        </main>
      </body>
    </html>`;
  return reply.headers(pageHeaders(formAction)).type('text/html; charset=utf-8').send(document);
}
