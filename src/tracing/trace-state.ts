/** What a trace carries along that began in a workflow and not in a request: a start by the command line, say. */
export const BEGUN_BY_WORKFLOW = 'shop=workflow';
