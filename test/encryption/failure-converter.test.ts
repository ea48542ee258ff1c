import {
  ApplicationFailure,
  ActivityFailure,
  defaultFailureConverter,
  defaultPayloadConverter,
  type ProtoFailure,
} from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { failureConverter } from '../../src/temporal/encryption/failure-converter.js';

const write = (error: unknown) => failureConverter.errorToFailure(error, defaultPayloadConverter);
const read = (failure: ProtoFailure) => failureConverter.failureToError(failure, defaultPayloadConverter);

/** The parts of a failure that are readable without its payloads. */
function openPart({ message, stackTrace, cause }: ProtoFailure): (string | null | undefined)[] {
  return [message, stackTrace, ...(cause ? openPart(cause) : [])];
}

describe('the encrypting failure converter', () => {
  const cause = ApplicationFailure.create({ message: 'ada@example.com bounced', type: 'MailRefused' });
  const error = new ActivityFailure(
    'no mail to ada@example.com',
    'sendMail',
    '1',
    'MAXIMUM_ATTEMPTS_REACHED',
    undefined,
    cause,
  );

  test('moves messages and stack traces into encrypted payloads, including those of causes', () => {
    const failure = write(error);
    expect(openPart(failure)).toEqual(['Encoded failure', '', 'Encoded failure', '']);
    expect(failure.cause?.applicationFailureInfo?.type).toBe('MailRefused');
  });

  test('restores the whole failure when it is read', () => {
    const back = read(write(error)) as ActivityFailure;
    expect(back).toBeInstanceOf(ActivityFailure);
    expect(back.message).toBe(error.message);
    expect(back.cause).toMatchObject({
      message: cause.message,
      type: 'MailRefused',
      stack: expect.stringContaining('at '),
    });
  });

  test('keeps the failure when it is read and written repeatedly', () => {
    const back = read(write(error));
    for (const failure of [write(back), write(back)]) {
      expect(openPart(failure)).toEqual(['Encoded failure', '', 'Encoded failure', '']);
      expect(read(failure)).toMatchObject({ message: error.message, cause: { message: cause.message } });
    }
  });

  test('encrypts a failure that was received in plain text when it is written again', () => {
    const back = defaultFailureConverter.failureToError(
      defaultFailureConverter.errorToFailure(error, defaultPayloadConverter),
      defaultPayloadConverter,
    );
    expect(openPart(write(back))).toEqual(['Encoded failure', '', 'Encoded failure', '']);
    expect(read(write(back))).toMatchObject({ message: error.message, cause: { message: cause.message } });
  });
});
