export const HOUSEKEEPING_TASK_QUEUE = 'housekeeping';

/** The type of the workflow that `npm run erase` starts. */
export const ERASE_WORKFLOW_TYPE = 'erase';

/** The types of the workflows that schedules start. The id of a schedule is the type of its workflow. */
export type HousekeepingWorkflow = 'reconcile' | 'audit' | 'purge' | 'report';
