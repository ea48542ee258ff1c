import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ApiKey } from '../../../schemas/api-key.js';
import type { Caller } from './caller.js';

/** Marks our keys, so that people and secret scanners know one when they see it. */
const PREFIX = 'wop_';

/**
 * A new key and what the configuration keeps of it. It has 256 random bits, so a plain hash is enough: there is nothing
 * to guess that salt or slowness would protect.
 */
export function createApiKey(): { key: string; hash: string } {
  const key = PREFIX + randomBytes(32).toString('base64url');
  return { key, hash: hashOf(key).toString('hex') };
}

/** Finds whose key it is. Every hash is compared, each in constant time, so that time tells nothing. */
export function createKeyring(keys: readonly ApiKey[]): (key: string) => Caller | undefined {
  const entries = keys.flatMap(({ id, roles, hashes }) =>
    hashes.map((hash) => ({ caller: { id, roles }, hash: Buffer.from(hash, 'hex') })),
  );
  return (key) => {
    const presented = hashOf(key);
    let found: Caller | undefined;
    for (const { caller, hash } of entries) if (timingSafeEqual(hash, presented)) found = caller;
    return found;
  };
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();
