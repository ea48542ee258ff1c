import { createSecretKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';

const KEY_BYTES = 32;

/** An AES-256-GCM key with the id that encrypted payloads contain. Printing a `KeyObject` does not reveal the key. */
export interface EncryptionKey {
  readonly id: string;
  readonly key: KeyObject;
}

const KEY_FORMAT_PROBLEM = `must be <id>:<key> with commas between them: an id of 1 to 64 of A-Z a-z 0-9 . _ -, a key of ${KEY_BYTES} bytes in base64`;

const encryptionKey = z.string().transform((entry, context): EncryptionKey => {
  const [, id = '', encoded = ''] = /^([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/]+={0,2})$/.exec(entry) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length === KEY_BYTES && bytes.toString('base64') === encoded) return { id, key: createSecretKey(bytes) };
  context.addIssue({ code: 'custom', message: KEY_FORMAT_PROBLEM });
  return z.NEVER;
});

/** Parses the configured keys. The first key encrypts, and all keys decrypt, so that keys can be rotated. */
export const encryptionKeys = z
  .string()
  .transform((value) => value.split(',').map((entry) => entry.trim()))
  .pipe(z.array(encryptionKey))
  .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'names a key twice')
  .refine(
    (keys) => keys.every(({ key }, index) => !keys.slice(0, index).some((other) => other.key.equals(key))),
    'has the same key under two ids',
  );
