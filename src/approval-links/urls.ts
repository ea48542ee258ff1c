import type { Outgoing } from '../http-client/outgoing.js';
import type { ApprovalInput } from '../schemas/approval.js';
import type { InputProblem } from '../schemas/problems-of.js';

/** Returns an input problem for each URL of an approval request that must not be called. */
export function forbiddenUrls(
  { callbackUrl, stages }: Pick<ApprovalInput, 'callbackUrl' | 'stages'>,
  outgoing: Outgoing,
): InputProblem[] {
  const urls: [pointer: string, url: string | undefined][] = [
    ['/callbackUrl', callbackUrl],
    ...stages.flatMap(({ approvers }, stage) =>
      approvers.map(({ webhookUrl }, index): [string, string | undefined] => [
        `/stages/${stage}/approvers/${index}/webhookUrl`,
        webhookUrl,
      ]),
    ),
  ];
  return urls.flatMap(([pointer, url]) => {
    const detail = url === undefined ? undefined : outgoing.problemWith(url);
    return detail === undefined ? [] : [{ pointer, detail }];
  });
}
