import { createHash } from 'node:crypto';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import { isOpen } from '../../temporal/client/closed-executions.js';
import { signalOnce } from '../../temporal/client/signal-once.js';
import type { FoundApproval } from '../approvals/read.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';

interface Message<Argument> {
  signal: SignalDefinition<[Argument]>;
  argument: Argument;
  /** Identifies the message. A repeated message has no effect. */
  messageKey: string;
}

/**
 * Signals a workflow once for each message, without a look at the workflow. @returns false when the workflow is closed or
 * does not exist.
 */
export async function signalMessage<Argument>(
  client: Client,
  workflowId: string,
  { signal, argument, messageKey }: Message<Argument>,
): Promise<boolean> {
  const operationId = createHash('sha256').update(messageKey).digest('base64url');
  return await signalOnce(client, workflowId, { signal, args: [argument], operationId });
}

/**
 * Signals a workflow once for each message.
 *
 * @returns `signalled`, or the description of a closed workflow, or undefined when Temporal has no such workflow.
 */
export async function signalIfOpen<Argument>(
  { client, description }: Pick<FoundApproval, 'client' | 'description'>,
  message: Message<Argument>,
): Promise<'signalled' | WorkflowExecutionDescription | undefined> {
  if (!description || !isOpen(description)) return description;
  const { workflowId } = description;
  // If the signal is not stored, the workflow has closed in the meantime, so the earlier description is outdated.
  const isStored = await signalMessage(client, workflowId, message);
  return isStored ? 'signalled' : await describeWorkflow(client, { workflowId });
}
