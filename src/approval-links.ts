import { errors, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import { z } from 'zod';

/** Tokens of another kind that were signed with the same secret are none of ours. */
const AUDIENCE = 'approval-link';
const ALGORITHM = 'HS256';

/** What a link is good for: one decision of one approver in one stage of one approval. */
export interface ApprovalLink {
  approvalId: string;
  /** The run that sent it: a later approval under the same id is another question. */
  runId: string;
  stage: number;
  approver: string;
}

const claims = z.object({ sub: z.string(), approval: z.string(), run: z.string(), stage: z.int() });

/** Signs and reads the tokens in links to the human page, as JSON Web Tokens. */
export interface ApprovalLinks {
  /** The token; from `expiresAt` on it is expired. */
  sign: (link: ApprovalLink, expiresAt: Date) => Promise<string>;
  /** What a token is good for, `expired` or not, or undefined when it is none of ours. */
  read: (token: string) => Promise<{ link: ApprovalLink; expired: boolean } | undefined>;
}

/** `secrets`: the first one signs, all of them are accepted, so that a secret can be replaced while links are out. */
export function createApprovalLinks(secrets: readonly string[]): ApprovalLinks {
  const keys = secrets.map((secret) => new TextEncoder().encode(secret));
  const [signingKey] = keys;
  if (!signingKey) throw new Error('links need a secret');

  return {
    async sign({ approvalId, runId, stage, approver }, expiresAt) {
      return await new SignJWT({ approval: approvalId, run: runId, stage })
        .setProtectedHeader({ alg: ALGORITHM })
        .setAudience(AUDIENCE)
        .setSubject(approver)
        .setExpirationTime(expiresAt)
        .sign(signingKey);
    },

    async read(token) {
      for (const key of keys) {
        const verified = await verify(token, key);
        const parsed = claims.safeParse(verified?.payload);
        if (!verified || !parsed.success) continue;
        const { sub: approver, approval: approvalId, run: runId, stage } = parsed.data;
        return { link: { approvalId, runId, stage, approver }, expired: verified.expired };
      }
      return undefined;
    },
  };
}

async function verify(token: string, key: Uint8Array): Promise<{ payload: JWTPayload; expired: boolean } | undefined> {
  try {
    const { payload } = await jwtVerify(token, key, {
      audience: AUDIENCE,
      algorithms: [ALGORITHM],
      requiredClaims: ['exp'],
    });
    return { payload, expired: false };
  } catch (error) {
    // The signature is checked before the time, so an expired token is one of ours.
    if (error instanceof errors.JWTExpired) return { payload: error.payload, expired: true };
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}
