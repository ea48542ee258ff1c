export { approval } from './approval/workflow.js';
export { batch, batchShard } from './batch/workflow.js';
export { cart } from './cart/workflow.js';
export { order } from './order/workflow.js';
