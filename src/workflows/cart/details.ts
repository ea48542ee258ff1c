import type { CartView } from '../../schemas/cart.js';

/** Renders a cart as Markdown for the Web UI. Problems come first. */
export function describeCart({ status, orderId, remindedAt, lines }: CartView, problem?: string): string {
  const facts = [
    `**${status}**`,
    ...(orderId === undefined ? [] : [`order ${orderId}`]),
    ...(remindedAt === undefined ? [] : [`reminded at ${remindedAt}`]),
  ];
  return [
    ...(problem === undefined ? [] : [`**Needs attention:** ${problem}`, '']),
    facts.join(', '),
    ...(lines.length === 0 ? [] : ['', ...lines.map(({ sku, quantity }) => `- ${quantity} x ${sku}`)]),
  ].join('\n');
}
