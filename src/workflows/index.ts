export { approval } from './approval/workflow.js';
export { batch, batchShard } from './batch/workflow.js';
export { cart } from './cart/workflow.js';
export { audit } from './housekeeping/audit.js';
export { erase } from './housekeeping/erase.js';
export { purge } from './housekeeping/purge.js';
export { reconcile } from './housekeeping/reconcile.js';
export { report } from './housekeeping/report.js';
export { order } from './order/workflow.js';
