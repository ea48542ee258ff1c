export { listPages } from '../../../tools/docs/pages.js';

/** The pages whose commands run on one stack of `npm start`, in the order in which a reader reads the pages. */
export const PAGES_WITH_COMMANDS = [
  'README.md',
  'docs/patterns/order.md',
  'docs/patterns/cart.md',
  'docs/patterns/approval.md',
  'docs/patterns/batch.md',
  'docs/reference/http-api.md',
  'docs/guides/deploy.md',
  'docs/guides/debug-a-stuck-workflow.md',
  'docs/guides/replay-a-production-history.md',
  'docs/guides/remove-a-pattern.md',
];

/** The pages whose commands run on one stack of `npm start` with the full Temporal server. */
export const PAGES_FOR_FULL_SERVER = ['docs/operations/temporal-tools.md'];

/** The guides whose changes and commands run in one copy of the project, in the order of docs/README.md. */
export const GUIDES_THAT_CHANGE_CODE = [
  'docs/guides/add-a-batch-operation.md',
  'docs/guides/add-an-activity.md',
  'docs/guides/add-a-step-to-the-order.md',
  'docs/guides/add-a-workflow.md',
];
