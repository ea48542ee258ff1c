import { domainToASCII } from 'node:url';
import { z } from 'zod';

/** The maximum length of an address in octets (RFC 5321). */
const MAX_ADDRESS_LENGTH = 254;

/** The domain may be internationalized. The local part must be ASCII, because only few servers support SMTPUTF8. */
const ADDRESS_PATTERN =
  /^[A-Za-z0-9_'+-]+(?:\.[A-Za-z0-9_'+-]+)*@(?:[A-Za-z0-9\u00A1-\uFFFF][A-Za-z0-9\u00A1-\uFFFF-]*\.)+[A-Za-z0-9\u00A1-\uFFFF-]{2,}$/;
const ASCII_DOMAIN_PATTERN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})$/;

const INVALID_ADDRESS = 'must be an e-mail address such as grace@example.com, in ASCII before the @';

export const email = z
  .string()
  .max(MAX_ADDRESS_LENGTH)
  .regex(ADDRESS_PATTERN, { error: INVALID_ADDRESS, abort: true })
  .refine((address) => toAsciiAddress(address) !== undefined, INVALID_ADDRESS)
  .meta({ examples: ['grace@example.com'] });

/**
 * Returns the address for SMTP. The domain is converted to A-labels (`bücher.example` becomes `xn--bcher-kva.example`).
 *
 * @returns undefined when the domain is not valid.
 */
export function toAsciiAddress(address: string): string | undefined {
  const at = address.lastIndexOf('@');
  const domain = domainToASCII(address.slice(at + 1));
  const ascii = `${address.slice(0, at)}@${domain}`;
  return ASCII_DOMAIN_PATTERN.test(domain) && ascii.length <= MAX_ADDRESS_LENGTH ? ascii : undefined;
}
