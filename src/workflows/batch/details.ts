import type { BatchView } from '../../schemas/batch.js';

/** Progress as Markdown for the Web UI. Problems come first. */
export function describeBatch(view: BatchView): string {
  const { status, operation, total, succeeded, failed, itemsPerSecond, secondsLeft, attempt } = view;
  const done = succeeded + failed;
  const share = total > 0 ? Math.floor((done / total) * 100) : 0;
  const rate = itemsPerSecond ? `, ${itemsPerSecond} a second` : '';
  const left = secondsLeft ? `, ${secondsLeft} s left` : '';
  return [
    ...(failed > 0 ? [`**Needs attention:** ${failed} items failed`, ''] : []),
    `**${status}** ${operation}`,
    '',
    `- ${done} of ${total} items (${share} %)${rate}${left}`,
    `- ${succeeded} succeeded, ${failed} failed`,
    ...(attempt > 1 ? [`- retry ${attempt - 1}`] : []),
  ].join('\n');
}

/** The final status of a batch that was not cancelled. */
export function finalStatusOf({ failed }: Pick<BatchView, 'failed'>): 'completed' | 'completed_with_failures' {
  return failed > 0 ? 'completed_with_failures' : 'completed';
}

/** Whether the final counts belong to another execution of the batch. */
export function isSuperseded({ attempt, total, succeeded, failed }: BatchView, ownRound: number): boolean {
  return attempt !== ownRound || succeeded + failed < total;
}
