import type { FastifyInstance, FastifyReply } from 'fastify';
import type { z } from 'zod';
import type { SlackMethodName } from './slack-faults.js';
import { ephemeralSchema, postSchema, updateSchema, viewSchema, type SlackWorkspace } from './workspace.js';

type Result = { ok: true; [field: string]: unknown } | { ok: false; error: string };

const failed = (error: string): Result => ({ ok: false, error });

/** Registers the methods of Slack's Web API under `/slack/api`. Like Slack, most errors have the status 200. */
export function registerSlackApi(app: FastifyInstance, workspace: SlackWorkspace): void {
  method('auth.test', () => ({ ok: true, team: 'Fake workspace', user: 'approvals', bot_id: 'B0FAKE' }));

  method('chat.postMessage', (body) =>
    parsed(postSchema, body, (post) => {
      if (post.thread_ts !== undefined && !workspace.message(post.thread_ts)) return failed('thread_not_found');
      const message = workspace.post(post);
      return message ? { ok: true, channel: message.channel, ts: message.ts } : failed('channel_not_found');
    }),
  );

  method('chat.update', (body) =>
    parsed(updateSchema, body, (update) => {
      const message = workspace.update(update);
      return message ? { ok: true, channel: message.channel, ts: message.ts } : failed('message_not_found');
    }),
  );

  method('chat.postEphemeral', (body) =>
    parsed(ephemeralSchema, body, (post) => ({ ok: true, message_ts: workspace.postEphemeral(post).ts })),
  );

  method('views.open', (body) =>
    parsed(viewSchema, body, (request) => {
      const view = workspace.openView(request);
      return view ? { ok: true, view: { id: view.viewId } } : failed('expired_trigger_id');
    }),
  );

  function method(name: SlackMethodName, run: (body: unknown) => Result): void {
    app.post(`/slack/api/${name}`, async (request, reply) => {
      if (!request.headers.authorization?.startsWith('Bearer xoxb-')) return reply.send(failed('not_authed'));
      const fault = workspace.faults.take(name);
      if (fault?.fault === 'ratelimited') {
        return reply.code(429).header('retry-after', String(fault.retryAfter)).send(failed('ratelimited'));
      }
      if (fault && fault.fault !== 'lose-response') return reply.send(failed(fault.fault));
      const result = run(request.body);
      await workspace.waitForRelease(name);
      return fault ? loseResponse(reply) : reply.send(result);
    });
  }
}

function parsed<Schema extends z.ZodType>(
  schema: Schema,
  body: unknown,
  run: (value: z.output<Schema>) => Result,
): Result {
  const result = schema.safeParse(body);
  return result.success ? run(result.data) : failed('invalid_arguments');
}

function loseResponse(reply: FastifyReply): FastifyReply {
  reply.hijack();
  reply.raw.socket?.destroy();
  return reply;
}
