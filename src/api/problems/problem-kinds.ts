interface ProblemDefinition {
  status: number;
  title: string;
  /** Explains when the API returns the problem. The problem page and docs/reference/problems.md show this text. */
  when: string;
  /** Seconds after which the same request may succeed. */
  retryAfter?: number;
}

const RETRY_AFTER_SECONDS = 5;

const UNAUTHENTICATED_TITLE = 'The caller could not be authenticated';
const FORBIDDEN_TITLE = 'The caller may not do this';
const CONFLICT_TITLE = 'The request conflicts with the state of the resource';
const REJECTED_TITLE = 'A business rule rejects the request';
const UNAVAILABLE_TITLE = 'A part of the service is unavailable';
const OVERLOADED_TITLE = 'A part of the service is overloaded';

/**
 * All kinds of problems that the API returns. The `type` of a problem is `/problems/<kind>`. The status and the meaning
 * of a published kind must not change.
 */
export const PROBLEMS = {
  'malformed-request': {
    status: 400,
    title: 'The request could not be read',
    when: 'The body is not JSON, not UTF-8 or nested too deeply, the path is not URL-encoded, or the request is not HTTP.',
  },
  'invalid-request': {
    status: 400,
    title: 'The request is not valid',
    when: 'A parameter, header or field of the body is invalid, an object repeats a name, or a number cannot be stored exactly. `errors` lists each problem with its JSON pointer.',
  },
  unauthorized: {
    status: 401,
    title: UNAUTHENTICATED_TITLE,
    when: 'The API key or token is missing or invalid, or the signature of a webhook is invalid.',
  },
  forbidden: {
    status: 403,
    title: FORBIDDEN_TITLE,
    when: 'The roles of the caller do not permit the operation, or the caller acts under the id of another caller.',
  },
  'not-an-approver': {
    status: 403,
    title: FORBIDDEN_TITLE,
    when: 'The caller is not an approver of the current stage.',
  },
  'self-approval': {
    status: 403,
    title: FORBIDDEN_TITLE,
    when: 'The caller requested this approval, and requesters cannot decide their own request.',
  },
  'not-found': {
    status: 404,
    title: 'The resource does not exist',
    when: 'No resource has this path or id, the resource belongs to another caller, or its retention period in Temporal has ended.',
  },
  'unknown-link': {
    status: 404,
    title: 'The link is invalid',
    when: 'The link of a mail was truncated or forged. The response is an HTML page.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The resource does not support this method',
    when: 'The path exists, but does not support the method. `Allow` lists the supported methods.',
  },
  'not-acceptable': {
    status: 406,
    title: 'The request does not accept the content type of the resource',
    when: 'The `Accept` header of a request for an event stream excludes `text/event-stream`.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request took too long',
    when: 'The request was not received completely within ten seconds, or an upload was slower than the minimum speed or stored nothing for 24 hours.',
  },
  conflict: {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The state of the resource does not allow the operation, and no other kind of problem describes the reason.',
  },
  'wrong-workflow-type': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'Another client started a workflow of another type under the workflow id of the resource. `workflowType` names the type. An operator has to terminate the workflow.',
  },
  'order-id-taken': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'An order with this id already exists with different content.',
  },
  'approval-id-taken': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'An approval with this id already exists with different content.',
  },
  'batch-id-taken': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'A batch with this id already exists with different content.',
  },
  'already-picked-up': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The carrier has the parcel, so the order can no longer be cancelled.',
  },
  'order-closed': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The order is closed, or its compensations are running.',
  },
  'compensation-not-stuck': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The compensation is not stuck, or the decision names another attempt of the compensation.',
  },
  'delivery-not-overdue': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The delivery is not overdue, or the decision names another attempt of the delivery.',
  },
  'price-changed': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The total differs from the expected total; `total` and `expectedTotal` contain both. No stock was reserved, and a cart stays open.',
  },
  'update-limit': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The workflow run has reached the update limit of Temporal. docs/reference/limits.md explains what to do.',
  },
  'already-ordered': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'An operator reset the cart after its checkout, and the content of the cart has changed since then. `orderId` is the id of the order of that checkout. No second order was placed. To order more, abandon the cart and open a new cart.',
  },
  'mixed-currencies': {
    status: 422,
    title: REJECTED_TITLE,
    when: 'A checkout with `expectedTotal` contains prices in different currencies. An order has one currency.',
  },
  'already-decided': { status: 409, title: CONFLICT_TITLE, when: 'Another decision was made first.' },
  'approval-closed': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The approval has timed out, or the request was withdrawn.',
  },
  'stage-passed': { status: 409, title: CONFLICT_TITLE, when: 'The decision is for an earlier stage of the approval.' },
  'batch-running': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The batch is still running. Only a closed batch can be retried. The list of batches can show a batch as cancelled a moment before the batch closes; repeat the request shortly, with a new `Idempotency-Key`.',
  },
  'batch-not-started': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The batch is stored but not started; `retry` starts it.',
  },
  'batch-closed': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The batch is closed, or its items were deleted after their retention, so it can no longer be retried.',
  },
  'nothing-to-retry': { status: 409, title: CONFLICT_TITLE, when: 'Every item of the batch succeeded.' },
  'request-in-progress': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The first request with this `Idempotency-Key` is still running.',
    retryAfter: 1,
  },
  'cart-closed': {
    status: 410,
    title: 'The cart is closed',
    when: 'The cart is closed. `cartStatus` and `orderId` describe the outcome.',
  },
  'batch-items-deleted': {
    status: 410,
    title: 'The items of the batch were deleted',
    when: 'The retention of the items of a closed batch has ended, so its failed items can no longer be listed. The counts of the batch stay.',
  },
  'too-large': {
    status: 413,
    title: 'The request is too large',
    when: 'The body, or a line of an upload, is too long. The detail states the limit.',
  },
  'path-too-long': {
    status: 414,
    title: 'A path segment is too long',
    when: 'A segment of the path has more than 1,000 characters.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The content type is not supported',
    when: 'The resource does not accept the content type. `Accept` lists the accepted content types.',
  },
  'invalid-items': {
    status: 422,
    title: 'Some items are not valid',
    when: 'Lines of an upload are invalid. `errors` lists the first 100 problems with `line` and JSON pointer. Nothing was stored.',
  },
  'idempotency-key-reused': {
    status: 422,
    title: REJECTED_TITLE,
    when: 'An earlier request with this `Idempotency-Key` had different content.',
  },
  'unreadable-payload': {
    status: 422,
    title: 'A payload cannot be decrypted',
    when: 'No encrypted payload of the request can be decrypted. The key is not configured, or the payload was modified or belongs to another namespace. The detail names the key.',
  },
  'unknown-sku': { status: 422, title: REJECTED_TITLE, when: 'The catalogue does not contain the product.' },
  'out-of-stock': { status: 422, title: REJECTED_TITLE, when: 'The stock of the product is too low at the moment.' },
  'too-many-lines': {
    status: 422,
    title: REJECTED_TITLE,
    when: 'The cart contains the maximum number of different products.',
  },
  'quantity-too-large': {
    status: 422,
    title: REJECTED_TITLE,
    when: 'The quantity of a cart line would exceed the maximum.',
  },
  'empty-cart': { status: 422, title: REJECTED_TITLE, when: 'The cart contains no products.' },
  'too-many-requests': {
    status: 429,
    title: 'The caller sent too many requests',
    when: 'The caller has reached the request limit of this minute.',
    retryAfter: 60,
  },
  'headers-too-large': {
    status: 431,
    title: 'The headers are too large',
    when: 'The headers of the request have more than 16 KiB.',
  },
  'internal-error': {
    status: 500,
    title: 'An internal error occurred',
    when: 'The API has a bug. The log contains the error under the `requestId`.',
  },
  'temporal-unavailable': {
    status: 503,
    title: UNAVAILABLE_TITLE,
    when: 'Temporal does not answer.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'store-unavailable': {
    status: 503,
    title: UNAVAILABLE_TITLE,
    when: 'The database does not answer.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'no-worker': {
    status: 503,
    title: UNAVAILABLE_TITLE,
    when: 'No worker polls the task queue of the workflow, which `taskQueue` names. Other members contain the facts that Temporal knows without a worker.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'workflow-paused': {
    status: 503,
    title: UNAVAILABLE_TITLE,
    when: 'An operator has paused the workflow of the resource in Temporal. A paused workflow answers no queries and no updates. The request succeeds after the operator has unpaused the workflow. Other members contain the facts that Temporal knows without a worker.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'non-determinism': {
    status: 503,
    title: UNAVAILABLE_TITLE,
    when: 'The workflow code of the workers creates other commands than the history of the workflow contains, so the workflow makes no progress. Nothing is lost: the request succeeds after workers with matching code were deployed. docs/guides/debug-a-stuck-workflow.md explains what to do.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'workflow-task-failed': {
    status: 503,
    title: UNAVAILABLE_TITLE,
    when: 'The workflow code of the workers throws an error, so the workflow makes no progress. Nothing is lost: the request succeeds after workers with corrected code were deployed. docs/guides/debug-a-stuck-workflow.md explains what to do.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'worker-busy': {
    status: 503,
    title: OVERLOADED_TITLE,
    when: 'The workers did not answer within the time limit.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'cart-busy': {
    status: 503,
    title: OVERLOADED_TITLE,
    when: 'The cart did not process the request within the time limit.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'too-many-uploads': {
    status: 503,
    title: OVERLOADED_TITLE,
    when: 'The maximum number of concurrent uploads is reached, in total or for the caller.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'identity-provider-unavailable': {
    status: 503,
    title: UNAVAILABLE_TITLE,
    when: 'The keys that verify tokens could not be fetched.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  overloaded: {
    status: 503,
    title: OVERLOADED_TITLE,
    when: 'The process is overloaded, or the request was not answered within the time limit.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
} as const satisfies Record<string, ProblemDefinition>;

export type ProblemKind = keyof typeof PROBLEMS;

export const PROBLEM_KINDS = Object.keys(PROBLEMS) as ProblemKind[];

export const definitionOf = (kind: ProblemKind): ProblemDefinition => PROBLEMS[kind];

/**
 * Converts the type of a failure to a kind of problem: `OutOfStock` becomes `out-of-stock`. Returns `otherwise` for an
 * unknown type.
 */
export function kindOfFailureType(type: string, otherwise: ProblemKind): ProblemKind {
  const kind = type.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
  return kind in PROBLEMS ? (kind as ProblemKind) : otherwise;
}
