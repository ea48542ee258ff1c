import type { FastifyInstance, FastifyReply } from 'fastify';
import html from 'html-template-tag';
import { z } from 'zod';
import { errorResponse } from '../calls/responses.js';
import { sendPage as sendStyledPage } from '../pages.js';
import type { InteractionResult, OpenView, SlackBlock, SlackPost, SlackWorkspace } from './workspace.js';

const STYLE = [
  ':root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }',
  'main { max-width: 48rem; margin: 0 auto; padding: 0 1rem 2rem; overflow-wrap: anywhere; }',
  'article { border: 1px solid GrayText; border-radius: 0.5rem; margin: 0 0 1rem; padding: 0.5rem 1rem; }',
  'article.reply { margin-inline-start: 2rem; }',
  'article p { margin: 0.5rem 0; white-space: pre-line; }',
  'form { display: inline-block; margin-inline-end: 0.5rem; }',
  'button { font: inherit; padding: 0.25rem 1rem; }',
  '.quiet { color: GrayText; }',
].join('\n');

const submissionSchema = z.object({ decision: z.string().default(''), comment: z.string().default('') });

/** Registers the pages on which a person reads the messages of the app and clicks their buttons. */
export async function slackPages(app: FastifyInstance, { workspace }: { workspace: SlackWorkspace }): Promise<void> {
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(body as string))),
  );

  app.get<{ Querystring: { result?: string } }>('/slack', async ({ query }, reply) =>
    sendPage(reply, 'Slack', messagesHtml(workspace.messages().reverse(), query.result)),
  );

  app.post<{ Params: { ts: string; actionId: string } }>(
    '/slack/messages/:ts/actions/:actionId',
    async ({ params }, reply) => {
      const message = workspace.message(params.ts);
      if (!message) return sendUnknown(reply, 'unknown_message', 'The message does not exist.');
      const earlierView = workspace.viewOf(message.user);
      const result = await workspace.click(message, params.actionId);
      const view = workspace.viewOf(message.user);
      const target = view && view !== earlierView ? `/slack/views/${view.viewId}` : `/slack?${resultQuery(result)}`;
      return reply.redirect(target, 303);
    },
  );

  app.get<{ Params: { viewId: string } }>('/slack/views/:viewId', async ({ params }, reply) => {
    const view = workspace.view(params.viewId);
    if (!view) return sendUnknown(reply, 'unknown_view', 'The form does not exist or was submitted.');
    return sendPage(reply, view.title.text, viewHtml(view));
  });

  app.post<{ Params: { viewId: string } }>('/slack/views/:viewId', async ({ params, body }, reply) => {
    const view = workspace.view(params.viewId);
    if (!view) return sendUnknown(reply, 'unknown_view', 'The form does not exist or was submitted.');
    const result = await workspace.submit(view, submissionSchema.parse(body));
    return workspace.view(view.viewId)
      ? sendPage(reply, view.title.text, viewHtml(view, result))
      : reply.redirect(`/slack?${resultQuery(result)}`, 303);
  });
}

const resultQuery = ({ status }: InteractionResult): string =>
  new URLSearchParams({ result: String(status) }).toString();

const sendPage = (reply: FastifyReply, title: string, content: string): FastifyReply =>
  sendStyledPage(reply, { title, content, style: STYLE, formAction: 'self' });

function messagesHtml(messages: SlackPost[], result: string | undefined): string {
  const answer =
    result === undefined
      ? ''
      : html`<p role="status">
          ${result === 'undefined' ? 'The app did not respond.' : `The app responded ${result}.`}
        </p>`;
  const intro = html`<p class="quiet">Newest first. Reload the page to see changes.</p>`;
  if (messages.length === 0)
    return html`$${answer}$${intro}
      <p>No messages yet.</p>`;
  return html`$${answer}$${intro}$${messages.map(messageHtml).join('')}`;
}

function messageHtml({ ts, user, threadTs, isEphemeral, text, blocks }: SlackPost): string {
  const note = isEphemeral ? ' (only visible to this user)' : threadTs === undefined ? '' : ' (reply)';
  const content = blocks.length ? blocks.map((block) => blockHtml(ts, block)).join('') : mrkdwnHtml(text);
  return html`<article class="${threadTs === undefined ? 'message' : 'reply'}">
    <p class="quiet">To ${user}${note}</p>
    $${content}
  </article>`;
}

function blockHtml(ts: string, block: SlackBlock): string {
  if (block.type === 'header') return html`<h2>${block.text.text}</h2>`;
  if (block.type === 'context') return block.elements.map(textHtml).join('');
  if (block.type === 'section') {
    return [...(block.text ? [block.text] : []), ...(block.fields ?? [])].map(textHtml).join('');
  }
  const buttons = block.elements.map(
    ({ action_id: actionId, text }) =>
      html`<form method="post" action="/slack/messages/${ts}/actions/${actionId}">
        <button>${text.text}</button>
      </form>`,
  );
  return html`<div>$${buttons.join('')}</div>`;
}

const textHtml = ({ type, text }: { type: string; text: string }): string =>
  type === 'mrkdwn' ? mrkdwnHtml(text) : html`<p>${text}</p>`;

/** Shows bold lines, and replaces the escapes of mrkdwn. */
function mrkdwnHtml(mrkdwn: string): string {
  const lines = mrkdwn.split('\n').map((line) => {
    const text = line.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
    const [, bold] = /^\*(.+)\*$/.exec(text) ?? [];
    return bold === undefined ? html`${text}` : html`<strong>${bold}</strong>`;
  });
  return html`<p>$${lines.join('\n')}</p>`;
}

function viewHtml({ viewId, blocks, submit }: OpenView, result?: InteractionResult): string {
  const inputs = blocks.map(({ label, element }) => {
    if (element.type === 'plain_text_input') {
      return html`<p>
        <label>${label.text}<br /><textarea name="${element.action_id}" rows="4" cols="50"></textarea></label>
      </p>`;
    }
    const options = element.options.map(
      ({ text, value }) =>
        html`<label><input type="radio" name="${element.action_id}" value="${value}" required /> ${text.text}</label> `,
    );
    return html`<fieldset>
      <legend>${label.text}</legend>
      $${options.join('')}
    </fieldset>`;
  });
  return html`<p><a href="/slack">All messages</a></p>
    $${result ? html`<p role="alert">${errorsOf(result)}</p>` : ''}
    <form method="post" action="/slack/views/${viewId}">
      $${inputs.join('')}
      <p><button>${submit.text}</button></p>
    </form>`;
}

/** The errors that the app returned for the inputs of a modal. */
function errorsOf({ status, body }: InteractionResult): string {
  try {
    const { errors = {} } = JSON.parse(body) as { errors?: Record<string, string> };
    return Object.values(errors).join(' ');
  } catch {
    return status === undefined ? 'The app did not respond.' : `The app responded ${status}.`;
  }
}

function sendUnknown(reply: FastifyReply, code: string, message: string): FastifyReply {
  const { status, body } = errorResponse(404, code, message);
  return reply.code(status).send(body);
}
