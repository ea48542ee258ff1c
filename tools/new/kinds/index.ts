import { activity } from './activity.js';
import type { Kind } from './kind.js';
import { operation } from './operation.js';
import { workflow } from './workflow.js';

/** What `npm run new` can add, by the first argument. */
export const KINDS: Record<string, Kind> = { workflow, activity, operation };
