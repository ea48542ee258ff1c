import { createSecretKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';

const KEY_BYTES = 32;

/** A key of AES-256-GCM, and the name under which payloads say that they need it. Printed, it shows nothing. */
export interface EncryptionKey {
  readonly id: string;
  readonly key: KeyObject;
}

const PROBLEM = `must be <id>:<key> with commas between them: an id of 1 to 64 of A-Z a-z 0-9 . _ -, a key of ${KEY_BYTES} bytes in base64`;

const encryptionKey = z.string().transform((entry, context): EncryptionKey => {
  const [, id = '', encoded = ''] = /^([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/]+={0,2})$/.exec(entry) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length === KEY_BYTES && bytes.toString('base64') === encoded) return { id, key: createSecretKey(bytes) };
  context.addIssue({ code: 'custom', message: PROBLEM });
  return z.NEVER;
});

/** Keys as they are configured: the first encrypts, all of them decrypt, so that one can replace another. */
export const encryptionKeys = z
  .string()
  .transform((value) => value.split(',').map((entry) => entry.trim()))
  .pipe(z.array(encryptionKey))
  .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'names a key twice')
  .refine(
    (keys) => keys.every(({ key }, index) => !keys.slice(0, index).some((other) => other.key.equals(key))),
    'has the same key under two ids',
  );
