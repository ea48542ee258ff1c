import { describe, expect, test } from 'vitest';
import { email, toAsciiAddress } from '../../../src/schemas/shared/email.js';

describe('an e-mail address', () => {
  test.each([
    ['grace@example.com', 'grace@example.com'],
    ["o'hara+shop@mail.example.co", "o'hara+shop@mail.example.co"],
    ['grace@bücher.example', 'grace@xn--bcher-kva.example'],
    ['grace@Bücher.Example', 'grace@xn--bcher-kva.example'],
    ['grace@例え.テスト', 'grace@xn--r8jz45g.xn--zckzah'],
    ['grace@xn--bcher-kva.example', 'grace@xn--bcher-kva.example'],
  ])('accepts %s, and e-mails are sent to %s', (address, ascii) => {
    expect(email.parse(address)).toBe(address);
    expect(toAsciiAddress(address)).toBe(ascii);
  });

  test.each([
    'nobody',
    'grace@localhost',
    'grace@bücher',
    'grâce@example.com',
    'grace@exa mple.com',
    'grace@example.com, eve@example.com',
    'Grace <grace@example.com>',
    'grace@-example.com',
    'grace@127.0.0.1',
    'grace@xn--\u{0}.example',
    'grace@\uD800.example',
    `grace@${'x'.repeat(64)}.example`,
    `grace@${'ü'.repeat(60)}.${'ü'.repeat(60)}.${'ü'.repeat(60)}.${'ü'.repeat(50)}.example`,
  ])('rejects %s', (address) => {
    expect(email.safeParse(address).success).toBe(false);
  });
});
