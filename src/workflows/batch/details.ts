import type { BatchView } from '../../schemas/batch.js';

/** Renders a batch as Markdown for the "Current Details" of the Web UI. Problems come first. */
export function describeBatch(view: BatchView): string {
  const { status, operation, total, succeeded, failed, itemsPerSecond, secondsLeft, attempt } = view;
  const done = succeeded + failed;
  const percent = total > 0 ? Math.floor((done / total) * 100) : 0;
  const rate = itemsPerSecond ? `, ${itemsPerSecond} a second` : '';
  const left = secondsLeft ? `, ${secondsLeft} s left` : '';
  return [
    ...(failed > 0 ? [`**Needs attention:** ${failed} items failed`, ''] : []),
    `**${status}** ${operation}`,
    '',
    `- ${done} of ${total} items (${percent} %)${rate}${left}`,
    `- ${succeeded} succeeded, ${failed} failed`,
    ...(attempt > 1 ? [`- retry ${attempt - 1}`] : []),
  ].join('\n');
}
