/** Exports the generators of the committed documents: openapi.json, the table of problems and the table of limits. */
export { generatedFiles } from '../../../tools/openapi/document.js';
export {
  EVENTS_PER_ACTIVITY,
  EVENTS_PER_CHILD,
  EVENTS_PER_PROGRESS_POLL,
  MAX_APPROVAL_ID_LENGTH,
  MAX_ID_LENGTH,
  MAX_IDEMPOTENCY_KEY_LENGTH,
  TEMPORAL_LIMITS,
} from '../../../tools/openapi/temporal-limits.js';
export { PROBLEM_TABLE_PATH, renderProblemTable } from '../../../tools/openapi/problems-page.js';
