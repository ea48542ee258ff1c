import type { ApprovalOutcome } from './approvals.js';

export interface ToolCall {
  /** The id that the model gives to this call. A resumed conversation has the same id. */
  id: string;
  name: string;
  arguments: Record<string, unknown>;
}

export type Message =
  | { role: 'user'; content: string }
  | { role: 'assistant'; toolCall: ToolCall }
  | { role: 'tool'; toolCallId: string; content: string };

/** A model calls a tool or answers. A client of a real model fits here. */
export type Model = (messages: readonly Message[]) => Promise<{ toolCall: ToolCall } | { text: string }>;

export interface Tool {
  /** Whether a person must approve each call. */
  needsApproval: boolean;
  /** Idempotent by the id of the call, because an agent that lost the result runs the call again. */
  run: (call: ToolCall) => Promise<string>;
}

interface AgentOptions {
  model: Model;
  tools: Readonly<Record<string, Tool>>;
  /** Waits, possibly for days, until a person has decided about the call. */
  approve: (call: ToolCall) => Promise<ApprovalOutcome>;
}

/** Runs a conversation until the model answers. A call that is not approved does not run, and the model learns why. */
export async function runAgent(question: string, { model, tools, approve }: AgentOptions): Promise<string> {
  const messages: Message[] = [{ role: 'user', content: question }];
  for (;;) {
    const reply = await model(messages);
    if ('text' in reply) return reply.text;
    const { toolCall } = reply;
    messages.push({ role: 'assistant', toolCall });
    messages.push({ role: 'tool', toolCallId: toolCall.id, content: await runTool(toolCall) });
  }

  async function runTool(call: ToolCall): Promise<string> {
    const tool = tools[call.name];
    if (!tool) return `There is no tool ${call.name}.`;
    if (!tool.needsApproval) return await tool.run(call);
    const { status, comment } = await approve(call);
    if (status === 'approved') return await tool.run(call);
    return `The call was not run, because its approval ended as ${status}${comment ? `: ${comment}` : ''}.`;
  }
}
