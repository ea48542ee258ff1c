import { z } from 'zod';
import { callerId } from './shared/primitives.js';

/**
 * The roles of callers. The carrier and approval systems have no role, because they sign their messages. An inspector
 * can read the decrypted payloads of all workflows, in the Web UI and with the CLI. An operator does not need this
 * permission.
 */
export const CALLER_ROLES = ['shopper', 'operator', 'approver', 'inspector'] as const;

/** The owner of an API key, its roles, and its SHA-256 hash. During a rotation there are two hashes. */
export const apiKey = z.strictObject({
  id: callerId,
  roles: z.array(z.enum(CALLER_ROLES)).min(1),
  hashes: z
    .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in 64 hexadecimal digits'))
    .min(1)
    .max(2),
});

export const apiKeys = z
  .array(apiKey)
  .min(1)
  .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'must not contain an id twice')
  .refine((keys) => {
    const hashes = keys.flatMap(({ hashes }) => hashes);
    return new Set(hashes).size === hashes.length;
  }, 'must not contain a hash twice');

export type CallerRole = (typeof CALLER_ROLES)[number];
export type ApiKey = z.infer<typeof apiKey>;
