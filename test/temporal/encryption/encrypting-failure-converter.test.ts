import {
  ApplicationFailure,
  ActivityFailure,
  defaultFailureConverter,
  defaultPayloadConverter,
  type ProtoFailure,
} from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { failureConverter } from '../../../src/temporal/encryption/encrypting-failure-converter.js';

const toFailure = (error: unknown) => failureConverter.errorToFailure(error, defaultPayloadConverter);
const toError = (failure: ProtoFailure) => failureConverter.failureToError(failure, defaultPayloadConverter);

/** Returns the texts of a failure that are readable without decryption. */
function unencryptedFields({ message, stackTrace, cause }: ProtoFailure): (string | null | undefined)[] {
  return [message, stackTrace, ...(cause ? unencryptedFields(cause) : [])];
}

describe('the encrypting failure converter', () => {
  const cause = ApplicationFailure.create({ message: 'ada@example.com bounced', type: 'MailRejected' });
  const error = new ActivityFailure(
    'no mail to ada@example.com',
    'sendMail',
    '1',
    'MAXIMUM_ATTEMPTS_REACHED',
    undefined,
    cause,
  );

  test('moves all messages and stack traces, also of nested causes, into encrypted payloads', () => {
    const failure = toFailure(error);
    expect(unencryptedFields(failure)).toEqual(['Encoded failure', '', 'Encoded failure', '']);
    expect(failure.cause?.applicationFailureInfo?.type).toBe('MailRejected');
  });

  test('restores the whole failure when it is decoded', () => {
    const back = toError(toFailure(error)) as ActivityFailure;
    expect(back).toBeInstanceOf(ActivityFailure);
    expect(back.message).toBe(error.message);
    expect(back.cause).toMatchObject({
      message: cause.message,
      type: 'MailRejected',
      stack: expect.stringContaining('at '),
    });
  });

  test('preserves a failure that is decoded and encoded repeatedly', () => {
    const back = toError(toFailure(error));
    for (const failure of [toFailure(back), toFailure(back)]) {
      expect(unencryptedFields(failure)).toEqual(['Encoded failure', '', 'Encoded failure', '']);
      expect(toError(failure)).toMatchObject({ message: error.message, cause: { message: cause.message } });
    }
  });

  test('encrypts a failure that was decoded from plain text and is encoded again', () => {
    const back = defaultFailureConverter.failureToError(
      defaultFailureConverter.errorToFailure(error, defaultPayloadConverter),
      defaultPayloadConverter,
    );
    expect(unencryptedFields(toFailure(back))).toEqual(['Encoded failure', '', 'Encoded failure', '']);
    expect(toError(toFailure(back))).toMatchObject({ message: error.message, cause: { message: cause.message } });
  });
});
