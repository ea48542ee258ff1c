import type { FastifyInstance, FastifyReply } from 'fastify';
import html from 'html-template-tag';
import { errorResponse } from '../calls/responses.js';
import { pageHeaders, sendPage as sendStyledPage } from '../pages.js';
import type { Mail, Mailbox } from './mailbox.js';

// The iframe of a mail is white even in dark mode, because senders design mails for a white background.
const STYLE = [
  ':root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }',
  'main { max-width: 60rem; margin: 0 auto; padding: 0 1rem 2rem; overflow-wrap: anywhere; }',
  'table { width: 100%; border-collapse: collapse; }',
  'th, td { padding: 0.5rem 1rem 0.5rem 0; border-bottom: 1px solid GrayText; text-align: start; vertical-align: top; }',
  'caption { text-align: start; }',
  'dt { font-weight: bold; }',
  'dd { margin: 0 0 0.5rem; }',
  'pre { white-space: pre-wrap; font: inherit; }',
  'iframe { width: 100%; height: 36rem; border: 1px solid GrayText; color-scheme: light; background: white; }',
].join('\n');

/** Registers the HTML pages that show the received mails. Scripts in a mail never run. */
export function registerMailPages(app: FastifyInstance, mailbox: Mailbox): void {
  app.get('/mails', async (_request, reply) =>
    sendPage(reply, 'Mails', mailListHtml((await mailbox.mails()).reverse())),
  );

  app.get<{ Params: { id: string } }>('/mails/:id(^\\d+)', async ({ params }, reply) => {
    const mail = await mailbox.mail(Number(params.id));
    return mail ? sendPage(reply, titleOf(mail), mailHtml(mail)) : sendUnknownMail(reply, params.id);
  });

  app.get<{ Params: { id: string } }>('/mails/:id(^\\d+).eml', async ({ params: { id } }, reply) => {
    const raw = await mailbox.raw(Number(id));
    if (!raw) return sendUnknownMail(reply, id);
    return reply
      .headers({ ...pageHeaders('none'), 'content-disposition': `attachment; filename="${id}.eml"` })
      .type('message/rfc822')
      .send(raw);
  });
}

const sendPage = (reply: FastifyReply, title: string, content: string): FastifyReply =>
  sendStyledPage(reply, { title, content, style: STYLE, formAction: 'none' });

function mailListHtml(mails: Mail[]): string {
  if (mails.length === 0) return html`<p>No mails yet. Reload the page to see new mails.</p>`;
  return html`<table>
    <caption>
      Newest first. Reload the page to see new mails.
    </caption>
    <thead>
      <tr>
        <th scope="col">Subject</th>
        <th scope="col">To</th>
        <th scope="col">Time</th>
      </tr>
    </thead>
    <tbody>
      ${mails.map(
        (mail) =>
          html`<tr>
            <td><a href="/mails/${String(mail.id)}">${titleOf(mail)}</a></td>
            <td>${mail.to.join(', ')}</td>
            <td>$${timeHtml(mail)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function mailHtml(mail: Mail): string {
  // Links in the mail open in a new tab, because the content security policy blocks all loading in the iframe.
  const framed = `<base target="_blank">${mail.html}`;
  return html`<p><a href="/mails">All mails</a> · <a href="/mails/${String(mail.id)}.eml">Source</a></p>
    <dl>
      <dt>From</dt>
      <dd>${mail.from}</dd>
      <dt>To</dt>
      <dd>${mail.to.join(', ')}</dd>
      <dt>Time</dt>
      <dd>$${timeHtml(mail)}</dd>
    </dl>
    <h2>Text</h2>
    $${mail.text ? html`<pre>${linkifyText(mail.text)}</pre>` : html`<p>This mail has no text part.</p>`}
    <h2>HTML</h2>
    $${
      mail.html
        ? html`<iframe
            title="The HTML part of the mail"
            sandbox="allow-popups allow-popups-to-escape-sandbox"
            srcdoc="${framed}"
          ></iframe>`
        : html`<p>This mail has no HTML part.</p>`
    }`;
}

/** Returns the text as pieces of escaped HTML, with each http(s) URL as a link. */
function linkifyText(text: string): string[] {
  return text.split(/(https?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]])/i).map((piece, index) => {
    const shown = html`${piece}`;
    return index % 2 ? html`<a href="$${shown}">$${shown}</a>` : shown;
  });
}

function titleOf({ subject }: Mail): string {
  return subject.trim() || '(no subject)';
}

function timeHtml({ receivedAt }: Mail): string {
  return html`<time datetime="${receivedAt}">${receivedAt.slice(0, 19).replace('T', ' ')} UTC</time>`;
}

function sendUnknownMail(reply: FastifyReply, id: string): FastifyReply {
  const { status, body } = errorResponse(404, 'unknown_mail', `The mail "${id}" does not exist or was deleted.`);
  return reply.code(status).send(body);
}
