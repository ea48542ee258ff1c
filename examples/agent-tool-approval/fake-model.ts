import type { Model } from './agent.js';

/** A model without a key: it asks for one refund, and then repeats what the tool returned. */
export const fakeModel: Model = async (messages) => {
  const last = messages.at(-1)!;
  if (last.role === 'tool') return { text: last.content };
  return { toolCall: { id: 'call-1', name: 'refund', arguments: { orderId: 'order-1001', amount: '19.99 EUR' } } };
};
