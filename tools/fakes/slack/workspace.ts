import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { signSlackRequest } from '../../../src/slack/signature.js';
import { SlackFaults, type SlackMethodName } from './slack-faults.js';

const MAX_MESSAGES = 1_000;

/** Slack closes the connection to an app that has not responded after this time. */
const INTERACTION_TIMEOUT_MS = 3_000;

const textSchema = z.object({ type: z.string(), text: z.string().min(1).max(3_000) });

const buttonSchema = z.object({
  type: z.literal('button'),
  action_id: z.string().min(1).max(255),
  text: textSchema,
  value: z.string().max(2_000).optional(),
  style: z.enum(['primary', 'danger']).optional(),
});

const blockSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('header'), text: textSchema.extend({ text: z.string().min(1).max(150) }) }),
  z.object({ type: z.literal('section'), text: textSchema.optional(), fields: z.array(textSchema).max(10).optional() }),
  z.object({ type: z.literal('context'), elements: z.array(textSchema).min(1).max(10) }),
  z.object({ type: z.literal('actions'), elements: z.array(buttonSchema).min(1).max(25) }),
]);

const contentSchema = z.object({
  text: z.string().min(1).max(40_000),
  blocks: z.array(blockSchema).max(50).default([]),
});

export const postSchema = contentSchema.extend({
  channel: z.string().min(1),
  thread_ts: z.string().optional(),
  reply_broadcast: z.boolean().optional(),
});
export const updateSchema = contentSchema.extend({ channel: z.string().min(1), ts: z.string().min(1) });
export const ephemeralSchema = z.object({ channel: z.string(), user: z.string(), text: z.string().min(1).max(40_000) });

const radioSchema = z.object({
  type: z.literal('radio_buttons'),
  action_id: z.string(),
  options: z.array(z.object({ text: textSchema, value: z.string() })).min(1),
});
const inputSchema = z.object({
  type: z.literal('input'),
  block_id: z.string(),
  optional: z.boolean().default(false),
  label: textSchema,
  hint: textSchema.optional(),
  element: z.discriminatedUnion('type', [
    radioSchema,
    z.object({
      type: z.literal('plain_text_input'),
      action_id: z.string(),
      multiline: z.boolean().optional(),
      max_length: z.int().min(1).max(3_000).optional(),
    }),
  ]),
});
export const viewSchema = z.object({
  trigger_id: z.string(),
  view: z.object({
    type: z.literal('modal'),
    callback_id: z.string().max(255),
    private_metadata: z.string().max(3_000),
    title: z.object({ type: z.string(), text: z.string().max(24) }),
    submit: textSchema,
    close: textSchema,
    blocks: z.array(inputSchema).max(100),
  }),
});

type Content = z.output<typeof contentSchema>;
export type SlackBlock = Content['blocks'][number];
type Modal = z.output<typeof viewSchema>['view'];

export interface SlackPost extends Content {
  ts: string;
  /** The direct conversation of a user with the app. */
  channel: string;
  user: string;
  /** The `ts` of the message to which this message replies. */
  threadTs?: string;
  /** Whether the message is visible only to its receiver, as the answer to a click. */
  isEphemeral: boolean;
  /** How often the app has changed the message. */
  updateCount: number;
}

export interface OpenView extends Modal {
  viewId: string;
  user: string;
}

/** The response of the app to an interaction. `status` is undefined if the app did not respond in time. */
export interface InteractionResult {
  status: number | undefined;
  body: string;
}

export interface WorkspaceOptions {
  /** The URL that receives interactions. If unset, clicks have no effect. */
  interactionsUrl?: string | undefined;
  signingSecret?: string | undefined;
}

/**
 * The fake Slack workspace: every user id exists, and every token is valid. It keeps the newest 1,000 messages in memory.
 */
export class SlackWorkspace {
  readonly faults = new SlackFaults();
  readonly #heldResponses = new Map<SlackMethodName, Promise<void>>();
  readonly #messages = new Map<string, SlackPost>();
  readonly #views = new Map<string, OpenView>();
  /** The users by trigger id. A trigger opens one modal. */
  readonly #triggers = new Map<string, string>();
  #interactionsUrl: string | undefined;
  readonly #signingSecret: string | undefined;
  #lastNumber = 0;

  constructor({ interactionsUrl, signingSecret }: WorkspaceOptions) {
    this.#interactionsUrl = interactionsUrl;
    this.#signingSecret = signingSecret;
  }

  setInteractionsUrl(url: string): void {
    this.#interactionsUrl = url;
  }

  /**
   * Holds the responses of a method until the release. The calls take effect immediately.
   *
   * @returns the release.
   */
  holdResponses(method: SlackMethodName): () => void {
    let release!: () => void;
    this.#heldResponses.set(method, new Promise((resolve) => (release = resolve)));
    return () => {
      this.#heldResponses.delete(method);
      release();
    };
  }

  /** Resolves when the responses of a method are not held. */
  async waitForRelease(method: SlackMethodName): Promise<void> {
    await this.#heldResponses.get(method);
  }

  /** Returns the messages of a user or of all users, oldest first. */
  messages(user?: string): SlackPost[] {
    return [...this.#messages.values()].filter((message) => user === undefined || message.user === user);
  }

  message(ts: string): SlackPost | undefined {
    return this.#messages.get(ts);
  }

  view(viewId: string): OpenView | undefined {
    return this.#views.get(viewId);
  }

  /** Returns the modal that a click has opened, if any. */
  viewOf(user: string): OpenView | undefined {
    return [...this.#views.values()].findLast((view) => view.user === user);
  }

  /** @returns undefined for an unknown channel. */
  post({ channel, thread_ts: threadTs, text, blocks }: z.output<typeof postSchema>): SlackPost | undefined {
    const user = userOf(channel);
    if (user === undefined) return undefined;
    return this.#add({ user, text, blocks, isEphemeral: false, ...(threadTs !== undefined && { threadTs }) });
  }

  postEphemeral({ user, text }: z.output<typeof ephemeralSchema>): SlackPost {
    return this.#add({ user, text, blocks: [], isEphemeral: true });
  }

  /** @returns undefined for an unknown message. */
  update({ channel, ts, text, blocks }: z.output<typeof updateSchema>): SlackPost | undefined {
    const message = this.#messages.get(ts);
    if (message?.channel !== channel) return undefined;
    Object.assign(message, { text, blocks, updateCount: message.updateCount + 1 });
    return message;
  }

  /** @returns undefined for an unknown or used trigger. */
  openView({ trigger_id: triggerId, view }: z.output<typeof viewSchema>): OpenView | undefined {
    const user = this.#triggers.get(triggerId);
    if (user === undefined) return undefined;
    this.#triggers.delete(triggerId);
    const opened = { ...view, viewId: `V${randomUUID()}`, user };
    this.#views.set(opened.viewId, opened);
    return opened;
  }

  /** Clicks a button of a message as its receiver, or as another user. */
  async click(message: SlackPost, actionId: string, user = message.user): Promise<InteractionResult> {
    const buttons = message.blocks.flatMap((block) => (block.type === 'actions' ? block.elements : []));
    const button = buttons.find(({ action_id: id }) => id === actionId);
    if (!button) throw new Error(`the message ${message.ts} has no button ${actionId}`);
    const triggerId = randomUUID();
    this.#triggers.set(triggerId, user);
    return await this.deliver({
      type: 'block_actions',
      user: { id: user },
      trigger_id: triggerId,
      channel: { id: message.channel },
      container: { type: 'message', message_ts: message.ts, channel_id: message.channel },
      actions: [{ type: 'button', action_id: actionId, value: button.value, action_ts: String(Date.now() / 1_000) }],
    });
  }

  /** Submits a modal. The modal stays open if the app responds with errors. */
  async submit(view: OpenView, inputs: { decision: string; comment?: string | undefined }): Promise<InteractionResult> {
    const values = Object.fromEntries(
      view.blocks.map(({ block_id: blockId, element }) => {
        const state =
          element.type === 'radio_buttons'
            ? { type: element.type, selected_option: { value: inputs.decision } }
            : { type: element.type, value: inputs.comment || null };
        return [blockId, { [element.action_id]: state }];
      }),
    );
    const { callback_id, private_metadata, viewId, user } = view;
    const result = await this.deliver({
      type: 'view_submission',
      user: { id: user },
      trigger_id: randomUUID(),
      view: { id: viewId, callback_id, private_metadata, state: { values } },
    });
    if (result.status === 200 && !result.body.includes('"errors"')) this.#views.delete(viewId);
    return result;
  }

  /** Signs an interaction and sends it to the app. */
  async deliver(payload: object): Promise<InteractionResult> {
    if (this.#interactionsUrl === undefined) return { status: undefined, body: 'no interactions URL is configured' };
    const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
    const timestamp = String(Math.floor(Date.now() / 1_000));
    try {
      const response = await fetch(this.#interactionsUrl, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-slack-request-timestamp': timestamp,
          'x-slack-signature': signSlackRequest(this.#signingSecret ?? '', timestamp, body),
        },
        body,
        signal: AbortSignal.timeout(INTERACTION_TIMEOUT_MS),
      });
      return { status: response.status, body: await response.text() };
    } catch (error) {
      return { status: undefined, body: (error as Error).message };
    }
  }

  #add(message: Omit<SlackPost, 'ts' | 'channel' | 'updateCount'>): SlackPost {
    this.#lastNumber += 1;
    const ts = `${Math.floor(Date.now() / 1_000)}.${String(this.#lastNumber).padStart(6, '0')}`;
    const post = { ...message, ts, channel: directChannelOf(message.user), updateCount: 0 };
    this.#messages.set(ts, post);
    const [oldest] = this.#messages.keys();
    if (this.#messages.size > MAX_MESSAGES) this.#messages.delete(oldest!);
    return post;
  }
}

const directChannelOf = (user: string): string => `D${user.slice(1)}`;

/** The user of a direct conversation. An app can address the conversation by the id of the user. */
function userOf(channel: string): string | undefined {
  if (/^U[A-Z0-9]+$/.test(channel)) return channel;
  return /^D[A-Z0-9]+$/.test(channel) ? `U${channel.slice(1)}` : undefined;
}
