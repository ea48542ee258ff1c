import type { SearchAttributeKey } from './provisioning.js';
import { approvalDueAtAttribute, approversAttribute, approvalStatusAttribute } from '../workflows/approval/contract.js';
import { batchStatusAttribute } from '../workflows/batch/contract.js';
import { customerIdAttribute, orderStatusAttribute } from '../workflows/order/contract.js';

/** All search attributes of the workflows. `setup` registers them before the first workflow starts. */
export const SEARCH_ATTRIBUTES: readonly SearchAttributeKey[] = [
  orderStatusAttribute,
  customerIdAttribute,
  approvalStatusAttribute,
  approversAttribute,
  approvalDueAtAttribute,
  batchStatusAttribute,
];
