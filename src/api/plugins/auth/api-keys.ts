import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ApiKey } from '../../../schemas/api-key.js';
import type { Caller } from '../../http/caller.js';

/** Prefix of every API key, so that people and secret scanners recognize the keys. */
const KEY_PREFIX = 'wop_';

/**
 * Creates a key and the hash for the configuration. The key has 256 random bits, so a plain hash is enough: a salt or a
 * slow hash only protects secrets that can be guessed.
 */
export function createApiKey(): { key: string; hash: string } {
  const key = KEY_PREFIX + randomBytes(32).toString('base64url');
  return { key, hash: hashOfKey(key).toString('hex') };
}

/**
 * Creates a function that finds the caller of a key. The function compares all hashes in constant time, so that timing
 * reveals nothing.
 */
export function createApiKeyLookup(keys: readonly ApiKey[]): (key: string) => Caller | undefined {
  const entries = keys.flatMap(({ id, roles, hashes }) =>
    hashes.map((hash) => ({ caller: { id, roles }, hash: Buffer.from(hash, 'hex') })),
  );
  return (key) => {
    const presented = hashOfKey(key);
    let found: Caller | undefined;
    for (const { caller, hash } of entries) if (timingSafeEqual(hash, presented)) found = caller;
    return found;
  };
}

export const hashOfKey = (key: string): Buffer => createHash('sha256').update(key).digest();
