import type { BatchStatus } from '../../../schemas/batch.js';
import type { Tone } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';

export const BATCHES_PATH = `${CONSOLE_PATH}/batches`;

export const STATUS_TONES: Record<BatchStatus, Tone> = {
  staged: 'neutral',
  running: 'active',
  paused: 'attention',
  completed: 'good',
  completed_with_failures: 'attention',
  cancelled: 'neutral',
  failed: 'bad',
};
