import type { OutgoingHttpClient } from './outgoing-http-client.js';
import type { ApprovalInput } from '../schemas/approval.js';
import type { InputProblem } from '../schemas/shared/input-problems.js';

/** Returns an input problem for each URL of an approval request that the shop must not call. */
export function findForbiddenUrls(
  { callbackUrl, stages }: Pick<ApprovalInput, 'callbackUrl' | 'stages'>,
  outgoing: OutgoingHttpClient,
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
    const detail = url === undefined ? undefined : outgoing.findUrlProblem(url);
    return detail === undefined ? [] : [{ pointer, detail }];
  });
}
