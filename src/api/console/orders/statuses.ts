import type { OrderStatus } from '../../../schemas/order.js';
import type { Tone } from '../components.js';

export const STATUS_TONES: Record<OrderStatus, Tone> = {
  processing: 'active',
  compensation_stuck: 'attention',
  delivery_overdue: 'attention',
  completed: 'good',
  rejected: 'neutral',
  cancelled: 'neutral',
  failed: 'bad',
};
