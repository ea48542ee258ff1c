import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { createApprovalLinkSigner, type ApprovalLink } from '../../src/approval-links/links.js';

const OLD = 'an-old-secret-that-is-long-enough-00';
const NEW = 'a-new-secret-that-is-long-enough-000';
const link: ApprovalLink = { approvalId: 'a1', firstRunId: 'r1', stage: 2, approver: 'lead' };
const inOneMinute = () => new Date(Date.now() + 60_000);

describe('createApprovalLinkSigner', () => {
  test('signs a token that contains the link data and the expiry', async () => {
    const links = createApprovalLinkSigner([NEW]);
    expect(await links.verify(await links.sign(link, inOneMinute()))).toEqual({ link, isExpired: false });
    expect(await links.verify(await links.sign(link, new Date(Date.now() - 1_000)))).toEqual({ link, isExpired: true });
  });

  test('during a secret rotation, accepts links signed with the old secret and signs new links with the new secret', async () => {
    const before = await createApprovalLinkSigner([OLD]).sign(link, inOneMinute());
    const during = createApprovalLinkSigner([NEW, OLD]);
    const after = createApprovalLinkSigner([NEW]);
    expect(await during.verify(before)).toEqual({ link, isExpired: false });
    expect(await after.verify(await during.sign(link, inOneMinute()))).toEqual({ link, isExpired: false });
    expect(await after.verify(before)).toBeUndefined();
  });

  test('rejects a correctly signed token that has a different audience or no expiry', async () => {
    const links = createApprovalLinkSigner([NEW]);
    const token = (audience: string) =>
      new SignJWT({ approval: 'a1', run: 'r1', stage: 2 })
        .setProtectedHeader({ alg: 'HS256' })
        .setAudience(audience)
        .setSubject('lead');
    const key = new TextEncoder().encode(NEW);
    expect(await links.verify(await token('session').setExpirationTime(inOneMinute()).sign(key))).toBeUndefined();
    expect(await links.verify(await token('approval-link').sign(key))).toBeUndefined();
    expect(await links.verify(await token('approval-link').setExpirationTime(inOneMinute()).sign(key))).toBeDefined();
  });
});
