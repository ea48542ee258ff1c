import { formatCount } from '../measurement/statistics.js';
import cliProgress, { type GenericFormatter } from 'cli-progress';
import { isOpenBatch, type BatchFailure, type BatchResource } from '../../src/schemas/batch.js';

const lineIntervalMs = 2_000;
const maxBarWidth = 40;
const minBarWidth = 10;

/** Shows progress to the user. */
export interface ProgressDisplay {
  update(batch: BatchResource): void;
  /** Prints a line that later updates do not overwrite. */
  printLine(text: string): void;
  /** Ends the display. Required before any other output. */
  stop(): void;
}

interface Output extends NodeJS.WritableStream {
  isTTY?: boolean;
}

/** Shows a bar on a terminal. Prints lines into anything else, such as a CI log or a file. */
export function createDisplay(output: Output): ProgressDisplay {
  return output.isTTY ? createBarDisplay(output) : createLineDisplay(output);
}

/** Prints a line when the progress has changed, at most once every two seconds. */
export function createLineDisplay(output: NodeJS.WritableStream, now: () => number = Date.now): ProgressDisplay {
  let last: { line: string; at: number } | undefined;
  return {
    update(batch) {
      const line = `${batch.operation}: ${formatProgress(batch)}`;
      const at = now();
      if (last && (last.line === line || at - last.at < lineIntervalMs)) return;
      last = { line, at };
      output.write(`${line}\n`);
    },
    printLine: (text) => void output.write(`${text}\n`),
    stop: () => undefined,
  };
}

function createBarDisplay(output: NodeJS.WritableStream): ProgressDisplay {
  // `linewrap` stops the bar from changing the terminal's wrap mode, which would stay changed if this process were
  // killed.
  const options = { stream: output, format: formatBar, linewrap: true };
  const bar = new cliProgress.SingleBar(options, cliProgress.Presets.shades_classic);
  return {
    update(batch) {
      if (!bar.isActive) bar.start(batch.total, processedItems(batch), { batch });
      else bar.update(processedItems(batch), { batch });
    },
    printLine(text) {
      bar.stop();
      output.write(`${text}\n`);
    },
    stop: () => bar.stop(),
  };
}

const formatBar: GenericFormatter = (options, { progress, maxWidth }, { batch }: { batch: BatchResource }) => {
  const { operation } = batch;
  const text = formatProgress(batch);
  const room = maxWidth - `${operation}  ${text} `.length;
  const barsize = Math.max(minBarWidth, Math.min(maxBarWidth, room));
  return `${operation} ${cliProgress.Format.BarFormat(progress, { ...options, barsize })} ${text}`;
};

/** Formats the progress: `40,000 of 100,000 (40 %), 3 failed, 52,000/s, 1 s left`. */
export function formatProgress(batch: BatchResource): string {
  const { status, total, failed, itemsPerSecond, secondsLeft } = batch;
  const percent = total === 0 ? 100 : Math.floor((processedItems(batch) / total) * 100);
  const state = status === 'paused' || status === 'staged' ? `${status} at ` : '';
  return [
    `${state}${formatCount(processedItems(batch))} of ${formatCount(total)} (${percent} %)`,
    `${formatCount(failed)} failed`,
    ...(status === 'running' && itemsPerSecond !== undefined ? [`${formatRate(itemsPerSecond)}/s`] : []),
    ...(status === 'running' && secondsLeft !== undefined ? [`${formatDuration(secondsLeft)} left`] : []),
  ].join(', ');
}

/** Whether a batch is closed. Only a request, such as a retry, can reopen it. */
export function hasEnded({ status }: BatchResource): boolean {
  return !isOpenBatch(status);
}

/** Formats the outcome of a batch as one line. */
export function formatOutcome(batch: BatchResource): string {
  const { batchId, status, total, succeeded, failed } = batch;
  const left = total - processedItems(batch);
  return [
    `${batchId} ${status === 'cancelled' ? 'was cancelled' : status.replaceAll('_', ' ')}`,
    [
      `${formatCount(succeeded)} of ${formatCount(total)} succeeded`,
      `${formatCount(failed)} failed`,
      ...(left > 0 ? [`${formatCount(left)} not processed`] : []),
    ].join(', '),
  ].join(': ');
}

/** Formats the first failed items, and the request that lists all of them. */
export function formatFailures(failures: BatchFailure[], { failed, batchId }: BatchResource): string[] {
  const more = failed - failures.length;
  return [
    ...failures.map(({ line, reason }) => `  line ${line}: ${reason.type}, ${reason.message}`),
    ...(more > 0 ? [`  … ${formatCount(more)} more: GET /v1/batches/${batchId}/failures`] : []),
  ];
}

/** Formats a duration with its two largest units. */
function formatDuration(seconds: number): string {
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

function formatRate(rate: number): string {
  return rate.toLocaleString('en-US', { maximumFractionDigits: rate < 10 ? 1 : 0 });
}

function processedItems({ succeeded, failed }: BatchResource): number {
  return succeeded + failed;
}
