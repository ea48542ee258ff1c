import { errors, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import { z } from 'zod';

/** The audience of the tokens. Tokens of another kind are rejected, even if they were signed with the same secret. */
const AUDIENCE = 'approval-link';
const ALGORITHM = 'HS256';

/** The content of a link. It permits one decision of one approver in one stage of one approval. */
export interface ApprovalLink {
  approvalId: string;
  /** The first run id of the execution chain that sent the link. It does not change after a reset. */
  firstRunId: string;
  stage: number;
  approver: string;
}

const tokenClaims = z.object({ sub: z.string(), approval: z.string(), run: z.string(), stage: z.int() });

/** Signs and verifies the tokens in links to the approval page. The tokens are JSON Web Tokens. */
export interface ApprovalLinkSigner {
  /** Returns a token that is valid until `expiresAt`. */
  sign: (link: ApprovalLink, expiresAt: Date) => Promise<string>;
  /**
   * Returns the content of a token and whether it has expired. Returns undefined when the token was not signed with one
   * of the secrets.
   */
  verify: (token: string) => Promise<{ link: ApprovalLink; isExpired: boolean } | undefined>;
}

/** @param secrets The first secret signs, and all secrets verify. So a secret can be rotated while links are in use. */
export function createApprovalLinkSigner(secrets: readonly string[]): ApprovalLinkSigner {
  const keys = secrets.map((secret) => new TextEncoder().encode(secret));
  const [signingKey] = keys;
  if (!signingKey) throw new Error('createApprovalLinkSigner needs at least one secret');

  return {
    async sign({ approvalId, firstRunId, stage, approver }, expiresAt) {
      return await new SignJWT({ approval: approvalId, run: firstRunId, stage })
        .setProtectedHeader({ alg: ALGORITHM })
        .setAudience(AUDIENCE)
        .setSubject(approver)
        .setExpirationTime(expiresAt)
        .sign(signingKey);
    },

    async verify(token) {
      for (const key of keys) {
        const verified = await verifyToken(token, key);
        const parsed = tokenClaims.safeParse(verified?.payload);
        if (!verified || !parsed.success) continue;
        const { sub: approver, approval: approvalId, run: firstRunId, stage } = parsed.data;
        return { link: { approvalId, firstRunId, stage, approver }, isExpired: verified.expired };
      }
      return undefined;
    },
  };
}

async function verifyToken(
  token: string,
  key: Uint8Array,
): Promise<{ payload: JWTPayload; expired: boolean } | undefined> {
  try {
    const { payload } = await jwtVerify(token, key, {
      audience: AUDIENCE,
      algorithms: [ALGORITHM],
      requiredClaims: ['exp'],
    });
    return { payload, expired: false };
  } catch (error) {
    // The library verifies the signature before the expiry, so the signature of this expired token is valid.
    if (error instanceof errors.JWTExpired) return { payload: error.payload, expired: true };
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}
