interface ProblemDefinition {
  status: number;
  title: string;
  /** When the API returns the problem, for the page and the table that document it. */
  when: string;
  /** Seconds after which the same request may succeed. */
  retryAfter?: number;
}

const RETRY_AFTER_SECONDS = 5;

const UNAUTHENTICATED_TITLE = 'The caller could not be verified';
const FORBIDDEN_TITLE = 'The caller may not do this';
const CONFLICT_TITLE = 'The request conflicts with the state of the resource';
const REJECTED_TITLE = 'A business rule refuses the request';
const UNAVAILABLE_TITLE = 'A part of the service is away';
const OVERLOADED_TITLE = 'A part of the service has too much to do';

/**
 * Every kind of problem that the API returns; its `type` is `/problems/<kind>`. A published kind keeps its status and
 * its meaning.
 */
export const PROBLEMS = {
  'malformed-request': {
    status: 400,
    title: 'The request could not be read',
    when: 'The body is no JSON, no UTF-8 or nested too deeply, the path is not URL-encoded, or the request is no HTTP.',
  },
  'invalid-request': {
    status: 400,
    title: 'The request is not valid',
    when: 'A parameter, header or field of the body is wrong, a name is repeated within an object, or a number cannot be kept exactly. `errors` names each by its JSON pointer.',
  },
  unauthorized: {
    status: 401,
    title: UNAUTHENTICATED_TITLE,
    when: 'There is no API key and no token, or none that is accepted; or the signature of a webhook does not hold.',
  },
  forbidden: {
    status: 403,
    title: FORBIDDEN_TITLE,
    when: 'The role of the caller does not include this, or he acts for somebody else.',
  },
  'not-an-approver': { status: 403, title: FORBIDDEN_TITLE, when: 'Who decides is not asked in this stage.' },
  'self-approval': { status: 403, title: FORBIDDEN_TITLE, when: 'Who decides is who asked.' },
  'not-found': {
    status: 404,
    title: 'There is no such resource',
    when: 'Nothing has this path or id, Temporal no longer keeps it, or it belongs to somebody else.',
  },
  'unknown-link': {
    status: 404,
    title: 'The link is none of ours',
    when: 'The link of a mail was cut off or made up. Answered as a page.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The resource does not have this method',
    when: 'The path is there, the method is not; `Allow` lists those that are.',
  },
  'not-acceptable': {
    status: 406,
    title: 'The resource has no such representation',
    when: 'A stream of events was asked for with an `Accept` that has no room for `text/event-stream`.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request took too long',
    when: 'The request was not received whole within ten seconds.',
  },
  conflict: {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The state of the resource does not allow it, for a reason without a kind of its own.',
  },
  'wrong-workflow-type': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'Somebody started a workflow of another type under the workflow id of the resource. `workflowType` names the type; an operator has to terminate the workflow.',
  },
  'order-id-taken': { status: 409, title: CONFLICT_TITLE, when: 'An order with this id has another content.' },
  'approval-id-taken': { status: 409, title: CONFLICT_TITLE, when: 'An approval with this id has another content.' },
  'batch-id-taken': { status: 409, title: CONFLICT_TITLE, when: 'A batch with this id has another content.' },
  'already-picked-up': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The carrier has the parcel: the order can no longer be cancelled.',
  },
  'order-closed': { status: 409, title: CONFLICT_TITLE, when: 'The order has ended, or is being rolled back.' },
  'compensation-not-stuck': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The attempt of the compensation that the decision names does not wait for an operator.',
  },
  'delivery-not-overdue': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The attempt of the delivery that the decision names does not wait for an operator.',
  },
  'price-changed': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The total is not the expected one; `total` and `expectedTotal` have both. Nothing was reserved or closed.',
  },
  'update-limit': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The workflow run has accepted as many updates as Temporal allows. docs/limits.md names the cure.',
  },
  'already-ordered': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The cart was reset by an operator after it had become an order with another content; `orderId` names that order. Nothing more is ordered. For more goods, abandon the cart and fill it again.',
  },
  'mixed-currencies': {
    status: 422,
    title: REJECTED_TITLE,
    when: 'A checkout with `expectedTotal` has products with prices in different currencies; an order has one.',
  },
  'already-decided': { status: 409, title: CONFLICT_TITLE, when: 'Somebody was first with another decision.' },
  'approval-closed': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The time of the approval is over, or it was withdrawn.',
  },
  'stage-passed': { status: 409, title: CONFLICT_TITLE, when: 'The stage that the decision is for is over.' },
  'batch-running': { status: 409, title: CONFLICT_TITLE, when: 'A batch that is at work cannot be retried.' },
  'batch-not-started': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The batch is stored and was not started; `retry` starts it.',
  },
  'batch-closed': { status: 409, title: CONFLICT_TITLE, when: 'The batch has ended.' },
  'nothing-to-retry': { status: 409, title: CONFLICT_TITLE, when: 'Every item of the batch succeeded.' },
  'request-in-progress': {
    status: 409,
    title: CONFLICT_TITLE,
    when: 'The first request with this `Idempotency-Key` is not answered yet.',
    retryAfter: 1,
  },
  gone: {
    status: 410,
    title: 'The resource is no longer there',
    when: 'The cart is closed; `cartStatus` and `orderId` say what became of it.',
  },
  'too-large': {
    status: 413,
    title: 'The request is too large',
    when: 'The body, or a line of an upload, is longer than allowed; the detail says how long it may be.',
  },
  'path-too-long': {
    status: 414,
    title: 'A part of the path is too long',
    when: 'A part of the path has more than 1,000 characters.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The content type is not supported',
    when: 'The content type is none that the resource takes.',
  },
  'invalid-items': {
    status: 422,
    title: 'Some items are not valid',
    when: 'Lines of an upload are wrong. `errors` names the first 100 by `line` and JSON pointer; nothing is stored.',
  },
  'idempotency-key-reused': {
    status: 422,
    title: REJECTED_TITLE,
    when: 'The `Idempotency-Key` named a request with another content before.',
  },
  'unreadable-payload': {
    status: 422,
    title: 'A payload cannot be decrypted',
    when: 'None of the encrypted payloads opens: the key that one names is not configured, or it was changed, or belongs to another namespace. The detail names the key.',
  },
  'unknown-sku': { status: 422, title: REJECTED_TITLE, when: 'The catalogue does not have the product.' },
  'out-of-stock': { status: 422, title: REJECTED_TITLE, when: 'There is not enough of the product just now.' },
  'too-many-lines': {
    status: 422,
    title: REJECTED_TITLE,
    when: 'The cart holds as many different products as it can.',
  },
  'quantity-too-large': { status: 422, title: REJECTED_TITLE, when: 'A line of the cart would hold too many pieces.' },
  'empty-cart': { status: 422, title: REJECTED_TITLE, when: 'There is nothing in the cart.' },
  'too-many-requests': {
    status: 429,
    title: 'There were too many requests',
    when: 'The caller has used up his requests of this minute.',
    retryAfter: 60,
  },
  'headers-too-large': {
    status: 431,
    title: 'The headers are too large',
    when: 'The headers of the request have more than 16 KiB.',
  },
  'internal-error': {
    status: 500,
    title: 'Something went wrong on our side',
    when: 'A fault of ours. The log has it under the `requestId`.',
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
    when: 'No worker polls the task queue; `taskQueue` names it, and what Temporal itself knows is in the problem.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'worker-busy': {
    status: 503,
    title: OVERLOADED_TITLE,
    when: 'The workers did not answer in time.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'cart-busy': {
    status: 503,
    title: OVERLOADED_TITLE,
    when: 'The cart could not answer just now.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'too-many-uploads': {
    status: 503,
    title: OVERLOADED_TITLE,
    when: 'As many uploads are under way as may be.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  'identity-provider-unavailable': {
    status: 503,
    title: UNAVAILABLE_TITLE,
    when: 'The keys that tokens are verified with could not be fetched.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
  overloaded: {
    status: 503,
    title: OVERLOADED_TITLE,
    when: 'The process has more to do than it can; another one, or a later moment, is better.',
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
