import type { BatchView } from '../../schemas/batch.js';

/** Progress for the Web UI, as Markdown. */
export function shownProgress(view: BatchView): string {
  const { status, operation, total, succeeded, failed, itemsPerSecond, secondsLeft, round } = view;
  const done = succeeded + failed;
  const share = total > 0 ? Math.floor((done / total) * 100) : 0;
  const rate = itemsPerSecond ? `, ${itemsPerSecond} a second` : '';
  const left = secondsLeft ? `, ${secondsLeft} s left` : '';
  return [
    `**${status}** ${operation}`,
    `- ${done} of ${total} items (${share} %)${rate}${left}`,
    `- ${succeeded} succeeded, ${failed} failed`,
    ...(round > 1 ? [`- retry ${round - 1}`] : []),
  ].join('\n');
}
