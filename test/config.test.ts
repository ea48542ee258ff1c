import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig, printable } from '../src/config.js';

const secret = `whsec_${'c2VjcmV0'.repeat(5)}`;
const env = {
  DATABASE_URL: 'postgres://shop:password@127.0.0.1/shop',
  PAYMENTS_URL: 'https://payments.example.com/',
  CARRIER_URL: 'https://carrier.example.com',
  SMTP_URL: 'smtps://user:password@mail.example.com',
  MAIL_FROM: 'The shop <no-reply@example.com>',
  PUBLIC_URL: 'https://shop.example.com/',
  APPROVAL_LINK_SECRET: 'a'.repeat(32),
  OUTGOING_WEBHOOK_SECRET: secret,
};
const stages = [{ approvers: [{ id: 'lead', email: 'lead@example.com' }], timeoutSeconds: 60 }];

describe('loadConfig', () => {
  test('when what is needed is there, then the rest has its default', () => {
    expect(loadConfig('worker', env)).toMatchObject({
      PUBLIC_URL: 'https://shop.example.com',
      APPROVAL_LINK_SECRET: ['a'.repeat(32)],
      OUTGOING_WEBHOOK_SECRET: [secret],
      OUTGOING_ALLOWED_HOSTS: [],
      OUTGOING_ALLOW_PRIVATE: false,
      DATABASE_POOL_SIZE: 10,
      BATCH_TASKS_AT_ONCE: 4,
    });
    expect(loadConfig('worker', env).ORDER_APPROVAL_THRESHOLD).toBeUndefined();
  });

  test('when two secrets are valid at once, then both are read, the new one first', () => {
    const other = `whsec_${'b3RoZXIw'.repeat(5)}`;
    expect(loadConfig('worker', { ...env, OUTGOING_WEBHOOK_SECRET: `${other}, ${secret}` })).toMatchObject({
      OUTGOING_WEBHOOK_SECRET: [other, secret],
    });
  });

  test('when orders need approvals, then whose is read from JSON', () => {
    const ORDER_APPROVAL_STAGES = JSON.stringify(stages);
    expect(loadConfig('worker', { ...env, ORDER_APPROVAL_THRESHOLD: '100000', ORDER_APPROVAL_STAGES })).toMatchObject({
      ORDER_APPROVAL_THRESHOLD: 100_000,
      ORDER_APPROVAL_STAGES: stages,
    });
  });

  test.each([
    ['DATABASE_URL', undefined, 'is not set'],
    ['DATABASE_POOL_SIZE', '0', 'must be a whole number from 1 to 1000'],
    ['BATCH_TASKS_AT_ONCE', '0', 'must be a whole number from 1 to 1000'],
    ['PUBLIC_URL', 'shop', 'must be an http or https URL'],
    ['SMTP_URL', 'http://mail', 'must be an smtp or smtps URL'],
    ['MAIL_FROM', 'somebody', 'must be an e-mail address'],
    ['APPROVAL_LINK_SECRET', 'short', 'must be at least 32 characters'],
    ['APPROVAL_LINK_SECRET', '', 'is not set'],
    ['OUTGOING_WEBHOOK_SECRET', 'whsec_short', 'must be whsec_'],
    ['OUTGOING_WEBHOOK_SECRET', `${secret},${secret},${secret}`, 'must be one secret, or two'],
    ['OUTGOING_ALLOWED_HOSTS', 'https://example.com', 'must be hosts with commas'],
    ['OUTGOING_ALLOW_PRIVATE', 'yes', 'must be true or false'],
    ['ORDER_APPROVAL_THRESHOLD', '100000', 'ORDER_APPROVAL_STAGES: is needed with ORDER_APPROVAL_THRESHOLD'],
    ['ORDER_APPROVAL_STAGES', '{', 'must be JSON'],
    ['ORDER_APPROVAL_STAGES', '[{"approvers":[],"timeoutSeconds":1}]', '/0/approvers'],
  ])('when %s is %j, then the start stops with its name, the problem and an example', (name, value, problem) => {
    const load = () => loadConfig('worker', { ...env, [name]: value });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(problem);
    expect(load).toThrow(new RegExp(`${name}.*for example|needed with ${name}`));
  });

  test('when a configuration is printed, then no secret and nobody is in it', () => {
    const ORDER_APPROVAL_STAGES = JSON.stringify(stages);
    const config = loadConfig('worker', { ...env, ORDER_APPROVAL_THRESHOLD: '1', ORDER_APPROVAL_STAGES });
    const printed = JSON.stringify(printable(config));
    for (const hidden of ['password', secret, 'a'.repeat(32), 'lead@example.com'])
      expect(printed).not.toContain(hidden);
    expect(printed).toContain('shop.example.com');
  });
});
