export const HOUSEKEEPING_TASK_QUEUE = 'housekeeping';

/** The types of the workflows that schedules start. The id of a schedule is the type of its workflow. */
export type HousekeepingWorkflow = 'reconcile' | 'audit' | 'purge' | 'report';
