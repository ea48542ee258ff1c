import { createSlackApprovers } from '../../../src/slack/approvers.js';
import { signSlackRequest } from '../../../src/slack/signature.js';
import type { ApprovalInput } from '../../../src/schemas/approval.js';
import { waitUntil } from '../processes.js';
import { SLACK_SIGNING_SECRET, type RunningFakes } from '../fakes/running-fakes.js';

/** The Slack users of all tests. No other approver has a Slack user. */
export const ANNA = { id: 'slack-anna', slackUser: 'U0ANNA' };
export const BEN = { id: 'slack-ben', slackUser: 'U0BEN' };
export const SLACK_BOT_TOKEN = 'xoxb-test';

export const slackApprovers = createSlackApprovers({ [ANNA.slackUser]: ANNA.id, [BEN.slackUser]: BEN.id });

/** Returns the messages in Slack that contain the title of an approval, oldest first. */
export const slackMessagesOf = ({ slack }: Pick<RunningFakes, 'slack'>, { title }: Pick<ApprovalInput, 'title'>) =>
  slack.messages().filter((message) => JSON.stringify(message).includes(title));

/** Waits for the message in Slack that asks for a decision about an approval. */
export async function waitForSlackMessage(
  fakes: Pick<RunningFakes, 'slack'>,
  approval: Pick<ApprovalInput, 'title'>,
  { slackUser = ANNA.slackUser } = {},
) {
  return await waitUntil(
    async () =>
      slackMessagesOf(fakes, approval).find(({ user, threadTs }) => user === slackUser && threadTs === undefined),
    { description: `a message in Slack about ${approval.title}`, timeoutMs: 20_000, intervalMs: 50 },
  );
}

/** Returns the headers with which Slack signs a body, by default now and with the right secret. */
export function signSlackBody(
  body: string,
  { secret = SLACK_SIGNING_SECRET, ageSeconds = 0 } = {},
): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000) - ageSeconds);
  return {
    'content-type': 'application/x-www-form-urlencoded',
    'x-slack-request-timestamp': timestamp,
    'x-slack-signature': signSlackRequest(secret, timestamp, body),
  };
}

/** The labels of the buttons of a message. */
export const buttonsOf = ({ blocks }: { blocks: readonly object[] }): string[] =>
  (blocks as { type: string; elements?: { text: { text: string } }[] }[])
    .filter(({ type }) => type === 'actions')
    .flatMap(({ elements = [] }) => elements.map(({ text }) => text.text));

/** All texts of a message. */
export const textOf = ({ text, blocks }: { text: string; blocks: readonly object[] }): string =>
  [text, JSON.stringify(blocks)].join('\n');
