import { z } from 'zod';
import { callerId } from './text.js';

/**
 * What a caller may be. The carrier and systems that approve are none of these: they sign what they send. An inspector
 * reads the payloads of all workflows in plain text, in the Web UI and with the CLI; who operates the shop need not.
 */
export const ROLES = ['shopper', 'operator', 'approver', 'inspector'] as const;

/** Whose key it is, what he may do, and the SHA-256 of one key or of two, while one replaces the other. */
export const apiKey = z.strictObject({
  id: callerId,
  roles: z.array(z.enum(ROLES)).min(1),
  hashes: z
    .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in 64 hexadecimal digits'))
    .min(1)
    .max(2),
});

export const apiKeys = z
  .array(apiKey)
  .min(1)
  .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'names somebody twice')
  .refine((keys) => {
    const hashes = keys.flatMap(({ hashes }) => hashes);
    return new Set(hashes).size === hashes.length;
  }, 'has the same hash twice');

export type Role = (typeof ROLES)[number];
export type ApiKey = z.infer<typeof apiKey>;
