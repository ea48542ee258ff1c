import html from 'html-template-tag';
import { timeHtml } from '../components.js';
import type { CompensationState, SagaCompensation, SagaStep, StepState } from './saga-states.js';
import { titleOf } from './saga-steps.js';

/** The appearance of a state: the class of its colour, its icon, and whether it moves. The text of the state is always shown. */
interface StateStyle {
  tone: 'good' | 'active' | 'attention' | 'bad' | 'idle';
  icon: keyof typeof ICONS;
  isMoving?: true;
}

const STEP_STYLES: Record<StepState, StateStyle> = {
  done: { tone: 'good', icon: 'check' },
  running: { tone: 'active', icon: 'dots', isMoving: true },
  waiting: { tone: 'active', icon: 'clock' },
  retrying: { tone: 'attention', icon: 'repeat', isMoving: true },
  overdue: { tone: 'attention', icon: 'warning' },
  failed: { tone: 'bad', icon: 'cross' },
  cancelled: { tone: 'idle', icon: 'bar' },
  'not needed': { tone: 'idle', icon: 'bar' },
  'not reached': { tone: 'idle', icon: 'none' },
  unknown: { tone: 'idle', icon: 'question' },
};

const COMPENSATION_STYLES: Record<CompensationState, StateStyle> = {
  'not needed': { tone: 'idle', icon: 'back' },
  ready: { tone: 'idle', icon: 'back' },
  next: { tone: 'active', icon: 'clock' },
  queued: { tone: 'active', icon: 'clock' },
  running: { tone: 'active', icon: 'back', isMoving: true },
  retrying: { tone: 'attention', icon: 'repeat', isMoving: true },
  completed: { tone: 'good', icon: 'check' },
  stuck: { tone: 'attention', icon: 'warning' },
  skipped: { tone: 'bad', icon: 'bar' },
  rejected: { tone: 'bad', icon: 'cross' },
  unknown: { tone: 'idle', icon: 'question' },
};

/** The texts of states that are not their name. */
const COMPENSATION_TEXTS: Partial<Record<CompensationState, (compensation: SagaCompensation) => string>> = {
  ready: () => 'only if the order fails or is cancelled',
  next: () => 'runs next',
  queued: ({ runsAfter = '' }) => `waits for: ${titleOf(runsAfter).toLowerCase()}`,
  stuck: () => 'stuck: every call failed',
  rejected: () => 'rejected: the parcel has left',
};

/** Paths of icons with a size of 16 by 16. */
const ICONS = {
  check: 'M3 8.5 6.5 12 13 4.5',
  dots: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  clock: 'M8 4v4l2.5 2M8 1.75a6.25 6.25 0 1 1 0 12.5a6.25 6.25 0 0 1 0-12.5',
  repeat: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.2v2.9h-2.9',
  warning: 'M8 3v6M8 12.5h.01',
  cross: 'M4 4l8 8M12 4l-8 8',
  bar: 'M4 8h8',
  question: 'M5.8 6a2.2 2.2 0 1 1 3.3 1.9c-.8.4-1.1.8-1.1 1.6M8 12.5h.01',
  back: 'M6 3 2.5 6.5 6 10M2.5 6.5h7a3.5 3.5 0 0 1 0 7H7',
  none: '',
} as const;

/**
 * The saga as a track: one stop for each step, and below it the compensation of the step. On narrow screens, the track
 * runs downwards.
 */
export const sagaPictureHtml = (steps: readonly SagaStep[]): string =>
  html`<ol class="saga" aria-label="Steps of the order">
    $${steps.map(stopHtml).join('')}
  </ol>`;

function stopHtml({ name, state, isCurrent, startedAt, endedAt, compensation }: SagaStep): string {
  const { tone, icon, isMoving } = STEP_STYLES[state];
  const current = isCurrent ? ' aria-current="step"' : '';
  const at = timeHtml(endedAt ?? startedAt);
  return html`<li class="stop ${tone}" $${current}>
    <span class="dot">$${iconHtml(icon, isMoving)}</span>
    <div class="step">
      <strong>${titleOf(name)}</strong> <span class="state">${state}</span>
      $${at ? html`<small>$${at}</small>` : ''}
    </div>
    $${compensation ? compensationHtml(compensation) : ''}
  </li>`;
}

function compensationHtml(compensation: SagaCompensation): string {
  const { name, state, attempt = 1 } = compensation;
  const { tone, icon, isMoving } = COMPENSATION_STYLES[state];
  const attempts = attempt > 1 ? `, attempt ${attempt}` : '';
  const text = COMPENSATION_TEXTS[state]?.(compensation) ?? state;
  return html`<div class="compensation ${tone}">
    $${iconHtml(icon, isMoving)}
    <div>
      <span class="hidden">Compensation:</span> ${titleOf(name)}
      <span class="state">${text}${attempts}</span>
    </div>
  </div>`;
}

function iconHtml(icon: keyof typeof ICONS, isMoving = false): string {
  return html`<svg class="${isMoving ? 'pulse' : ''}" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <path d="$${ICONS[icon]}" />
  </svg>`;
}
