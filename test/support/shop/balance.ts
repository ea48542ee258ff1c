/** The auditor's check of one order against the store and the ledgers of the fakes, as the chaos run uses it. */
export { readBalance, type Balance, type ExpectedOrder } from '../../../tools/chaos/audit/balance.js';
