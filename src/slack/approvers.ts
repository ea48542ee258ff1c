/** The approvers who have a Slack user. A Slack user is one approver, and an approver has one Slack user. */
export interface SlackApprovers {
  /** Returns the id of the Slack user of an approver. */
  userOf: (approver: string) => string | undefined;
  /** Returns the id of the approver who uses this Slack user. */
  approverOf: (slackUser: string) => string | undefined;
}

/** @param table the approver ids by the id of the Slack user. */
export function createSlackApprovers(table: Readonly<Record<string, string>>): SlackApprovers {
  const approvers = new Map(Object.entries(table));
  const users = new Map(Object.entries(table).map(([user, approver]) => [approver, user]));
  return {
    userOf: (approver) => users.get(approver),
    approverOf: (slackUser) => approvers.get(slackUser),
  };
}
