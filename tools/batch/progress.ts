import cliProgress, { type GenericFormatter } from 'cli-progress';
import { isOpenBatch, type BatchFailure, type BatchResource } from '../../src/schemas/batch.js';

const plainEveryMs = 2_000;
const longestBar = 40;
const shortestBar = 10;

/** Shows progress to the user. */
export interface Display {
  show(batch: BatchResource): void;
  /** Prints one permanent line. */
  note(text: string): void;
  /** Ends the display, so that other output can follow. */
  stop(): void;
}

interface Output extends NodeJS.WritableStream {
  isTTY?: boolean;
}

/** A bar that is updated in place on a terminal; an occasional new line elsewhere (a CI log, a file). */
export function displayOn(output: Output): Display {
  return output.isTTY ? barOn(output) : linesOn(output);
}

/** Writes a line when progress has changed, at most once in two seconds. */
export function linesOn(output: NodeJS.WritableStream, now: () => number = Date.now): Display {
  let last: { line: string; at: number } | undefined;
  return {
    show(batch) {
      const line = `${batch.operation}: ${figures(batch)}`;
      const at = now();
      if (last && (last.line === line || at - last.at < plainEveryMs)) return;
      last = { line, at };
      output.write(`${line}\n`);
    },
    note: (text) => void output.write(`${text}\n`),
    stop: () => undefined,
  };
}

function barOn(output: NodeJS.WritableStream): Display {
  // With `linewrap`, the bar does not change the terminal's wrap mode, which would stay changed if this process were
  // killed.
  const options = { stream: output, format: barLine, linewrap: true };
  const bar = new cliProgress.SingleBar(options, cliProgress.Presets.shades_classic);
  return {
    show(batch) {
      if (!bar.isActive) bar.start(batch.total, done(batch), { batch });
      else bar.update(done(batch), { batch });
    },
    note(text) {
      bar.stop();
      output.write(`${text}\n`);
    },
    stop: () => bar.stop(),
  };
}

const barLine: GenericFormatter = (options, { progress, maxWidth }, { batch }: { batch: BatchResource }) => {
  const { operation } = batch;
  const text = figures(batch);
  const room = maxWidth - `${operation}  ${text} `.length;
  const barsize = Math.max(shortestBar, Math.min(longestBar, room));
  return `${operation} ${cliProgress.Format.BarFormat(progress, { ...options, barsize })} ${text}`;
};

/** Progress in words: `40,000 of 100,000 (40 %), 3 failed, 52,000/s, 1 s left`. */
export function figures(batch: BatchResource): string {
  const { status, total, failed, itemsPerSecond, secondsLeft } = batch;
  const percent = total === 0 ? 100 : Math.floor((done(batch) / total) * 100);
  const state = status === 'paused' || status === 'staged' ? `${status} at ` : '';
  return [
    `${state}${shownCount(done(batch))} of ${shownCount(total)} (${percent} %)`,
    `${shownCount(failed)} failed`,
    ...(status === 'running' && itemsPerSecond !== undefined ? [`${shownRate(itemsPerSecond)}/s`] : []),
    ...(status === 'running' && secondsLeft !== undefined ? [`${shownSeconds(secondsLeft)} left`] : []),
  ].join(', ');
}

/** Whether a batch changes no more without a request. */
export function hasEnded({ status }: BatchResource): boolean {
  return !isOpenBatch(status);
}

/** The outcome of a batch in one line. */
export function outcome(batch: BatchResource): string {
  const { batchId, status, total, succeeded, failed } = batch;
  const left = total - done(batch);
  return [
    `${batchId} ${status === 'cancelled' ? 'was cancelled' : status.replaceAll('_', ' ')}`,
    [
      `${shownCount(succeeded)} of ${shownCount(total)} succeeded`,
      `${shownCount(failed)} failed`,
      ...(left > 0 ? [`${shownCount(left)} not done`] : []),
    ].join(', '),
  ].join(': ');
}

/** The first items that failed, and where to find the others. */
export function failureLines(failures: BatchFailure[], { failed, batchId }: BatchResource): string[] {
  const more = failed - failures.length;
  return [
    ...failures.map(({ line, reason }) => `  line ${line}: ${reason.type}, ${reason.message}`),
    ...(more > 0 ? [`  … ${shownCount(more)} more: GET /v1/batches/${batchId}/failures`] : []),
  ];
}

/** A duration in its two largest units. */
function shownSeconds(seconds: number): string {
  const units: [number, string][] = [
    [Math.floor(seconds / 3_600), 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = units.findIndex(([count]) => count > 0);
  if (first === -1) return '0 s';
  const shown = units.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ');
}

export function shownCount(count: number): string {
  return count.toLocaleString('en-US');
}

function shownRate(rate: number): string {
  return rate.toLocaleString('en-US', { maximumFractionDigits: rate < 10 ? 1 : 0 });
}

function done({ succeeded, failed }: BatchResource): number {
  return succeeded + failed;
}
