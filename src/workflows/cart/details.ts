import type { CartView } from '../../schemas/cart.js';

/** A cart for the Web UI, as Markdown: what needs attention first, and a blank line before the list. */
export function describeCart({ status, orderId, remindedAt, lines }: CartView, trouble?: string): string {
  const facts = [
    `**${status}**`,
    ...(orderId === undefined ? [] : [`order ${orderId}`]),
    ...(remindedAt === undefined ? [] : [`reminded at ${remindedAt}`]),
  ];
  return [
    ...(trouble === undefined ? [] : [`**Needs attention:** ${trouble}`, '']),
    facts.join(', '),
    ...(lines.length === 0 ? [] : ['', ...lines.map(({ sku, quantity }) => `- ${quantity} x ${sku}`)]),
  ].join('\n');
}
