import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  defaultFailureConverter,
  type ProtoFailure,
} from '@temporalio/common';
import proto from '@temporalio/proto';
import { describe, expect, test } from 'vitest';
import { failureConverter as hiding } from '../../../src/temporal/encryption/encrypting-failure-converter.js';
import {
  failureConverter,
  MAX_FAILURE_MESSAGE_LENGTH,
} from '../../../src/temporal/payloads/bounded-failure-converter.js';
import { payloadConverter } from '../../../src/temporal/payloads/payload-converter.js';
import { isWellFormed } from '../../../src/text/well-formed-text.js';
import { failuresIn } from '../../support/temporal/raw-runs.js';

const { Failure } = proto.temporal.api.failure.v1;

/** This text is so short that protobufjs writes the lone surrogate unchanged. */
const ILL_FORMED_TEXT = 'x\ud800';
const LONG_TEXT = '\udc00'.repeat(1_000_000);

/** Returns all non-empty texts in a message. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return value ? [value] : [];
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  return Object.values(value).flatMap(textsIn);
}

const application = ApplicationFailure.create({
  message: ILL_FORMED_TEXT,
  type: ILL_FORMED_TEXT,
  details: [{ text: ILL_FORMED_TEXT }],
});
const received = defaultFailureConverter.failureToError(
  defaultFailureConverter.errorToFailure(
    ApplicationFailure.create({ message: ILL_FORMED_TEXT, cause: ApplicationFailure.create({ message: LONG_TEXT }) }),
    payloadConverter,
  ),
  payloadConverter,
);

describe.each([
  ['plain', failureConverter],
  ['encrypting', hiding],
])('the %s failure converter', (_kind, converter) => {
  test.each<[what: string, error: unknown]>([
    ['an application failure', application],
    ['a long message', ApplicationFailure.create({ message: LONG_TEXT })],
    ['a JavaScript error', new TypeError(ILL_FORMED_TEXT)],
    ['an error with a stack trace of a megabyte', Object.assign(new Error('x'), { stack: LONG_TEXT })],
    ['a thrown text', ILL_FORMED_TEXT],
    ['a thrown object', { [ILL_FORMED_TEXT]: LONG_TEXT }],
    [
      'an activity failure',
      new ActivityFailure(ILL_FORMED_TEXT, ILL_FORMED_TEXT, ILL_FORMED_TEXT, 'TIMEOUT', ILL_FORMED_TEXT, application),
    ],
    [
      'a child failure',
      new ChildWorkflowFailure(
        ILL_FORMED_TEXT,
        { workflowId: ILL_FORMED_TEXT, runId: ILL_FORMED_TEXT },
        ILL_FORMED_TEXT,
        'TIMEOUT',
        application,
      ),
    ],
    ['a received failure that is passed on', received],
  ])('writes only well-formed texts of limited length for %s', (_description, error) => {
    const failure: ProtoFailure = converter.errorToFailure(error, payloadConverter);

    for (const text of textsIn(failure)) {
      expect(isWellFormed(text)).toBe(true);
      expect(text.length).toBeLessThanOrEqual(MAX_FAILURE_MESSAGE_LENGTH);
    }
    // Decoding must return exactly the encoded texts.
    const decoded = Failure.decode(Failure.encode(Failure.fromObject(failure)).finish());
    expect(textsIn(decoded)).toEqual(expect.arrayContaining(textsIn(failure)));
    expect(Failure.encode(decoded).finish().length).toBeLessThan(100_000);
  });

  test('keeps the type, category, details and retry delay of a failure', () => {
    const error = ApplicationFailure.create({
      message: 'no',
      type: 'OutOfStock',
      details: [{ sku: 'MUG' }],
      nonRetryable: true,
      category: 'BENIGN',
      nextRetryDelay: '2 hours',
    });
    const back = converter.failureToError(converter.errorToFailure(error, payloadConverter), payloadConverter);

    expect(back).toMatchObject({ message: 'no', type: 'OutOfStock', details: [{ sku: 'MUG' }], nonRetryable: true });
    expect(converter.errorToFailure(error, payloadConverter).applicationFailureInfo).toMatchObject({
      category: 1,
      nextRetryDelay: { seconds: { low: 7200 } },
    });
  });

  test('truncates a very long chain of causes', () => {
    let error = ApplicationFailure.create({ message: 'first' });
    for (let n = 0; n < 1_000; n += 1) error = ApplicationFailure.create({ message: 'next', cause: error });

    expect(failuresIn(converter.errorToFailure(error, payloadConverter)).length).toBeLessThan(20);
  });
});
