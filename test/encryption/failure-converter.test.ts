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

/** What can be read of a failure without its payloads. */
function openPart({ message, stackTrace, cause }: ProtoFailure): (string | null | undefined)[] {
  return [message, stackTrace, ...(cause ? openPart(cause) : [])];
}

describe('failures', () => {
  const cause = ApplicationFailure.create({ message: 'ada@example.com bounced', type: 'MailRefused' });
  const error = new ActivityFailure(
    'no mail to ada@example.com',
    'sendMail',
    '1',
    'MAXIMUM_ATTEMPTS_REACHED',
    undefined,
    cause,
  );

  test('when one is written, then messages and stack traces are in its payloads alone, also those of its causes', () => {
    const failure = write(error);
    expect(openPart(failure)).toEqual(['Encoded failure', '', 'Encoded failure', '']);
    expect(failure.cause?.applicationFailureInfo?.type).toBe('MailRefused');
  });

  test('when it is read, then all of it is there again', () => {
    const back = read(write(error)) as ActivityFailure;
    expect(back).toBeInstanceOf(ActivityFailure);
    expect(back.message).toBe(error.message);
    expect(back.cause).toMatchObject({
      message: cause.message,
      type: 'MailRefused',
      stack: expect.stringContaining('at '),
    });
  });

  test('when an error that was read is written again and again, then it still says the same', () => {
    const back = read(write(error));
    for (const failure of [write(back), write(back)]) {
      expect(openPart(failure)).toEqual(['Encoded failure', '', 'Encoded failure', '']);
      expect(read(failure)).toMatchObject({ message: error.message, cause: { message: cause.message } });
    }
  });

  test('when it came in plain, before there was a key or from the server, then it is hidden where it is written again', () => {
    const back = defaultFailureConverter.failureToError(
      defaultFailureConverter.errorToFailure(error, defaultPayloadConverter),
      defaultPayloadConverter,
    );
    expect(openPart(write(back))).toEqual(['Encoded failure', '', 'Encoded failure', '']);
    expect(read(write(back))).toMatchObject({ message: error.message, cause: { message: cause.message } });
  });
});
