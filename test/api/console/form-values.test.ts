import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { START_FORMS } from '../../../src/api/console/start/forms.js';
import { FORM_EXAMPLES } from '../../../src/api/console/start/examples.js';
import { curlCommand } from '../../../src/api/console/start/curl.js';
import { fieldsOf } from '../../../src/api/console/forms/fields.js';
import { readSubmittedForm } from '../../../src/api/console/forms/rows.js';
import { parseForm, toFormValues, type FormValues } from '../../../src/api/console/forms/values.js';
import { ANONYMOUS } from '../../../src/api/http/caller.js';
import { approvalRequest } from '../../../src/schemas/approval.js';
import { orderRequest } from '../../../src/schemas/order.js';
import { formatAmount, parseAmount } from '../../../src/schemas/shared/money.js';

const submit = (schema: z.ZodType, values: FormValues) => {
  const field = fieldsOf(schema);
  return parseForm(schema, field, readSubmittedForm(field, values).values);
};

const orderValues = {
  '/customerId': 'ada',
  '/lines/0/sku': 'MUG-ENAMEL',
  '/lines/0/quantity': '2',
  '/payment/token': 'tok_ok',
};

test.each(START_FORMS.map((form) => [form.name, form] as const))(
  'the example of the form "%s" survives the form unchanged',
  (_name, { schema, field, exampleFor }) => {
    const example = exampleFor(ANONYMOUS);
    const { values } = readSubmittedForm(field, toFormValues(field, example));

    expect(parseForm(schema, field, values)).toEqual({ json: example, data: example });
  },
);

test.each([
  ['order', 'order.json'],
  ['cart', 'cart-item.json'],
  ['approval', 'approval.json'],
] as const)('the example of the form "%s" equals examples/%s', (name, file) => {
  expect(FORM_EXAMPLES[name]).toEqual(JSON.parse(readFileSync(`examples/${file}`, 'utf8')));
});

describe('parseForm', () => {
  test('skips empty rows and omits empty optional fields', () => {
    const { data } = submit(orderRequest, {
      ...orderValues,
      '/lines/3/sku': '',
      '/lines/3/quantity': '',
      '/lines/7/sku': 'KETTLE',
      '/lines/7/quantity': '1',
      '/orderId': '',
      '/expectedTotal/value': '',
      '/expectedTotal/currency': 'EUR',
      '/approvalTimeoutSeconds': '',
    });

    expect(data).toEqual({
      customerId: 'ada',
      lines: [
        { sku: 'MUG-ENAMEL', quantity: 2 },
        { sku: 'KETTLE', quantity: 1 },
      ],
      payment: { token: 'tok_ok' },
    });
  });

  test.each([
    ['/lines/0/quantity', '1e3', 'Enter a whole number from 1 to 1,000'],
    ['/lines/0/quantity', '9007199254740993', 'Enter a whole number from 1 to 1,000'],
    ['/lines/0/quantity', '1001', 'Enter a whole number from 1 to 1,000'],
    ['/lines/0/quantity', '', 'Enter the quantity'],
    ['/lines/0/sku', '', 'Enter the SKU'],
    ['/customerId', '', 'Enter the customer id'],
    ['/payment/token', 'x'.repeat(201), 'Enter at most 200 characters'],
    ['/customerId', 'Ada Lovelace', 'ASCII letters, digits'],
    ['/expectedTotal/value', '12,50', 'Enter an amount such as 19.99'],
    ['/expectedTotal/value', '12.505', 'Enter an amount such as 19.99'],
    ['/couponCode', 'SAVE10', 'is not a known field'],
    ['/__proto__/polluted', 'yes', 'is not a known field'],
  ])('reports one problem for %s with the value "%s"', (pointer, value, detail) => {
    const { problems } = submit(orderRequest, { ...orderValues, '/expectedTotal/currency': 'EUR', [pointer]: value });

    expect(problems).toEqual([{ pointer, detail: expect.stringContaining(detail) as string }]);
  });

  test('reports rules of the API that concern several fields', () => {
    const { problems } = submit(approvalRequest, {
      '/title': 'Buy?',
      '/requestedBy': 'grace',
      '/stages/0/approvers/0/id': 'grace',
      '/stages/0/timeoutSeconds': '60',
    });

    expect(problems).toEqual([
      {
        pointer: '/stages',
        detail: 'must name an approver other than the requester, who cannot decide their own request',
      },
    ]);
  });

  test('converts line breaks of browsers, and keeps all other characters of a text', () => {
    const text = '  "two"\r\nlines \t<b>&amp;</b>';
    const { data } = submit(z.strictObject({ note: z.string() }), { '/note': text });

    expect(data).toEqual({ note: '  "two"\nlines \t<b>&amp;</b>' });
  });
});

test('adds and removes rows, also in nested lists', () => {
  const field = fieldsOf(approvalRequest);
  const values = toFormValues(field, FORM_EXAMPLES.approval);

  const added = readSubmittedForm(field, { ...values, _add: '/stages/0/approvers/2' });
  expect(added).toMatchObject({ isRowChange: true, values: { '/stages/0/approvers/2/id': '' } });

  const { values: rest } = readSubmittedForm(field, { ...values, _remove: '/stages/0' });
  expect(rest['/stages/0/approvers/0/id']).toBe('manager');
  expect(Object.keys(rest).filter((name) => name.startsWith('/stages/1'))).toEqual([]);
});

test.each([
  [{ value: 1999, currency: 'EUR' }, '19.99'],
  [{ value: 5, currency: 'EUR' }, '0.05'],
  [{ value: 1500, currency: 'JPY' }, '1500'],
  [{ value: 12_345, currency: 'KWD' }, '12.345'],
  [{ value: Number.MAX_SAFE_INTEGER, currency: 'EUR' }, '90071992547409.91'],
])('formats %o as %s, and parses it', (money, text) => {
  expect(formatAmount(money)).toBe(text);
  if (money.value < 1e15) expect(parseAmount(text, money.currency)).toBe(money.value);
});

test('quotes the JSON of the curl command for a shell', () => {
  const body = { title: `It's "new"` };

  expect(curlCommand('http://127.0.0.1:3000', { path: '/v1/approvals', body }, { needsKey: true })).toBe(
    [
      'curl -s -X POST http://127.0.0.1:3000/v1/approvals \\',
      '  -H "X-API-Key: $API_KEY" \\',
      "  -H 'content-type: application/json' \\",
      `  -d '{\n  "title": "It'\\''s \\"new\\""\n}'`,
    ].join('\n'),
  );
});
