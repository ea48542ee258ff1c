import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { approvalId, approverId, withdrawRequest, type ApprovalResource } from '../../../schemas/approval.js';
import { approvalClientsOf } from '../../../temporal/client/approval-clients.js';
import { decideApproval, withdrawApproval } from '../../approvals/commands.js';
import { decisionForm, decisionFormProblem, rawCommentOf } from '../../approvals/decision-form.js';
import { getApproval } from '../../approvals/read.js';
import { ANONYMOUS, assertDecidesAsSelf, type Caller } from '../../http/caller.js';
import { requestContextOf } from '../../http/request-context.js';
import { catchProblem } from '../../problems/error-mapping.js';
import { HttpProblem } from '../../problems/http-problem.js';
import { CONSOLE_PATH, withConsoleContract, withLiveContract } from '../contract.js';
import { redirectWithinConsole, sendConsolePage } from '../layout.js';
import { sendNotFoundPage } from '../not-found-page.js';
import type { ConsolePageDependencies } from '../routes.js';
import { approvalWorkflowId } from '../../../workflows/approval/contract.js';
import { otherToolsHtml } from '../workflow-links.js';
import { approvalListRoute } from './list.js';
import { isFinal } from './status.js';
import { approvalContent, type ApprovalPage } from './page.js';

const params = z.strictObject({ approvalId });
const openPageSchema = { params, querystring: z.object({ as: approverId.optional().catch(undefined) }) };

/** In open mode, the form names the approver. All other approvers decide under their own id. */
const approverField = z.object({ approver: approverId });

const withdrawForm = z.object({
  reason: z.preprocess(
    (value) => (typeof value === 'string' ? value.trim() || undefined : value),
    withdrawRequest.shape.reason,
  ),
});

/** Pages of approvals: the inbox of an approver, the list for operators, and one approval with its decision. */
export async function approvalPages(instance: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  await app.register(approvalListRoute, { ...deps, prefix: '' });

  app.get(
    '/:approvalId',
    {
      ...withConsoleContract({
        operationId: 'openConsoleApproval',
        summary: 'Open an approval',
        access: ['operator', 'approver'],
      }),
      schema: openPageSchema,
    },
    async (request, reply) => {
      const { approvalId } = request.params;
      const approval = await catchProblem('not-found', () => getApproval(deps, approvalId, requestContextOf(request)));
      if (approval instanceof HttpProblem) return sendApprovalNotFound(request, reply, approvalId);
      return sendApprovalPage(request, reply, approval, { decideAs: request.query.as });
    },
  );

  app.get(
    '/:approvalId/live',
    {
      ...withLiveContract({
        operationId: 'followConsoleApproval',
        summary: 'Follow an approval',
        access: ['operator', 'approver'],
      }),
      schema: openPageSchema,
    },
    async (request, reply) => {
      const { params, query, caller } = request;
      const { approvalId } = params;
      await getApproval(deps, approvalId, requestContextOf(request));
      return deps.liveStreams.send(request, reply, {
        key: `approval ${approvalId}`,
        read: () => getApproval(deps, approvalId),
        isFinal,
        render: (approval) =>
          approvalContent({ approval, caller, decideAs: query.as, toolsHtml: toolsOf(caller, approval) }),
      });
    },
  );

  app.post(
    '/:approvalId/decision',
    {
      ...withConsoleContract({ operationId: 'decideInConsole', summary: 'Decide an approval', access: ['approver'] }),
      schema: { params },
    },
    async (request, reply) => {
      const { caller, body } = request;
      const { approvalId } = request.params;
      const named = caller === ANONYMOUS ? approverField.safeParse(body ?? {}).data?.approver : caller.id;
      const form = decisionForm.safeParse(body ?? {});
      if (!form.success || named === undefined) {
        const problems = (form.error?.issues ?? []).map((issue) => decisionFormProblem(issue, body));
        if (named === undefined) problems.push({ field: 'decision', detail: 'Choose who decides.' });
        const approval = await getApproval(deps, approvalId, requestContextOf(request));
        const draft = { comment: rawCommentOf(body), problems };
        return sendApprovalPage(request, reply, approval, { draft, decideAs: named, status: 400 });
      }
      const { decision, comment } = form.data;
      request.loggedFields = { action: decision };
      assertDecidesAsSelf(caller, named);
      const sent = { approver: named, decision, ...(comment && { comment }), via: 'api' as const };
      return await changeApproval(request, reply, {
        approvalId,
        change: () => decideApproval(deps, approvalId, sent, requestContextOf(request)),
        page: { draft: { comment: rawCommentOf(body), problems: [] }, decideAs: named },
      });
    },
  );

  app.post(
    '/:approvalId/withdraw',
    {
      ...withConsoleContract({
        operationId: 'withdrawInConsole',
        summary: 'Withdraw an approval',
        access: ['operator', 'approver'],
      }),
      schema: { params },
    },
    async (request, reply) => {
      const { approvalId } = request.params;
      const form = withdrawForm.safeParse(request.body ?? {});
      if (!form.success) {
        const approval = await getApproval(deps, approvalId, requestContextOf(request));
        const notice = 'The reason must have at most 500 characters. Nothing was changed.';
        return sendApprovalPage(request, reply, approval, { withdrawalReason: reasonOf(request), notice, status: 400 });
      }
      const { reason } = form.data;
      return await changeApproval(request, reply, {
        approvalId,
        change: () => withdrawApproval(deps, approvalId, reason ? { reason } : {}, requestContextOf(request)),
        page: { withdrawalReason: reasonOf(request) },
      });
    },
  );

  const toolsOf = (caller: Caller, { approvalId, workflow }: ApprovalResource) =>
    otherToolsHtml({ ...deps, client: approvalClientsOf(deps)[0] }, caller, {
      workflowId: approvalWorkflowId(approvalId),
      runId: workflow?.runId,
      apiPath: `/v1/approvals/${approvalId}`,
    });

  /** Sends the page of an approval. A page with a message is not live, because an update would remove the message. */
  function sendApprovalPage(
    request: FastifyRequest,
    reply: FastifyReply,
    approval: ApprovalResource,
    { status = 200, ...options }: ApprovalPageOptions,
  ): FastifyReply {
    const { approvalId, title } = approval;
    const { decideAs } = options;
    const query = decideAs === undefined ? '' : `?as=${encodeURIComponent(decideAs)}`;
    return sendConsolePage(request, reply, {
      title,
      section: 'approvals',
      status,
      content: approvalContent({
        approval,
        caller: request.caller,
        toolsHtml: toolsOf(request.caller, approval),
        ...options,
      }),
      livePath:
        status === 200 && !isFinal(approval) ? `${CONSOLE_PATH}/approvals/${approvalId}/live${query}` : undefined,
    });
  }

  interface Change {
    approvalId: string;
    change: () => Promise<unknown>;
    /** What the page keeps if the change is rejected. */
    page: ApprovalPageOptions;
  }

  /** Redirects to the page after a change. If the change is rejected, the page shows why, with its current state. */
  async function changeApproval(request: FastifyRequest, reply: FastifyReply, { approvalId, change, page }: Change) {
    try {
      await change();
    } catch (error) {
      if (!(error instanceof HttpProblem && (error.status === 403 || error.status === 409))) throw error;
      const approval = await getApproval(deps, approvalId, requestContextOf(request));
      return sendApprovalPage(request, reply, approval, {
        ...page,
        notice: `Nothing was changed: ${error.message}.`,
        status: error.status,
      });
    }
    const as = request.caller === ANONYMOUS && page.decideAs ? `?as=${encodeURIComponent(page.decideAs)}` : '';
    return redirectWithinConsole(reply, `/approvals/${approvalId}${as}`);
  }
}

const sendApprovalNotFound = (request: FastifyRequest, reply: FastifyReply, approvalId: string): FastifyReply =>
  sendNotFoundPage(request, reply, {
    resource: `approval ${approvalId}`,
    section: 'approvals',
    reasons: [
      'The id is wrong.',
      'You are not asked to decide this approval, and you did not request it.',
      'The request did not reach Temporal. Requesting the approval again with the same id is safe.',
    ],
    links: [{ text: 'Show all approvals', path: `${CONSOLE_PATH}/approvals` }],
  });

type ApprovalPageOptions = Omit<ApprovalPage, 'approval' | 'caller' | 'toolsHtml'> & { status?: number };

function reasonOf({ body }: FastifyRequest): string {
  const { reason } = (body ?? {}) as { reason?: unknown };
  return typeof reason === 'string' ? reason : '';
}
