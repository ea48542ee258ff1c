import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import {
  abandonInput,
  addItemInput,
  cartSnapshot,
  checkoutInput,
  MAX_CART_CHANGES,
  MAX_CART_LINES,
  MAX_IDLE_SECONDS,
  removeItemInput,
  setQuantityInput,
  type CartSnapshot,
} from '../../../src/schemas/cart.js';
import { MAX_LINE_QUANTITY } from '../../../src/schemas/order.js';
import {
  applyChange,
  emptyCart,
  fingerprint,
  quantityOf,
  checkLedger,
  changeRejectionOf,
  quantityAfter,
  type Change,
  type ChangeKind,
  LIMITS,
} from '../../../src/workflows/cart/changes.js';
import { validateChange } from '../../../src/workflows/cart/argument-validation.js';

const NOW = '2030-01-01T00:00:00.000Z';
const LATER = '2030-01-02T00:00:00.000Z';
const payment = { token: 'tok_ok' };

const makeCart = (overrides: Partial<CartSnapshot> = {}): CartSnapshot =>
  deepFreeze({ ...emptyCart(NOW), ...overrides });

const cartWith = (quantities: Record<string, number>): CartSnapshot =>
  makeCart({ lines: Object.entries(quantities).map(([sku, quantity]) => ({ sku, quantity })) });

const addChange = (sku: string, quantity: number, idempotencyKey?: string): Change => ({
  kind: 'addItem',
  sku,
  quantity,
  ...(idempotencyKey !== undefined && { idempotencyKey }),
});
const setChange = (sku: string, quantity: number): Change => ({ kind: 'setQuantity', sku, quantity });
const removeChange = (sku: string): Change => ({ kind: 'removeItem', sku });
const checkout: Change = { kind: 'checkout', payment };
const abandon: Change = { kind: 'abandon' };

describe('applyChange', () => {
  test.each<[string, CartSnapshot, Change, CartSnapshot['lines']]>([
    ['a new product is added', makeCart(), addChange('MUG', 2), [{ sku: 'MUG', quantity: 2 }]],
    [
      'a product is added again',
      cartWith({ MUG: 2, PAN: 1 }),
      addChange('MUG', 3),
      [
        { sku: 'MUG', quantity: 5 },
        { sku: 'PAN', quantity: 1 },
      ],
    ],
    [
      'a quantity is set',
      cartWith({ MUG: 2, PAN: 1 }),
      setChange('MUG', 7),
      [
        { sku: 'MUG', quantity: 7 },
        { sku: 'PAN', quantity: 1 },
      ],
    ],
    ['a product is removed', cartWith({ MUG: 2, PAN: 1 }), removeChange('MUG'), [{ sku: 'PAN', quantity: 1 }]],
    ['the cart is checked out', cartWith({ MUG: 2 }), checkout, [{ sku: 'MUG', quantity: 2 }]],
    ['the cart is abandoned', cartWith({ MUG: 2 }), abandon, [{ sku: 'MUG', quantity: 2 }]],
  ])('applyChange returns the new lines and keeps the old state if %s', (_description, state, change, lines) => {
    const before = JSON.stringify(state);

    expect(applyChange(state, change, LATER).lines).toEqual(lines);

    expect(JSON.stringify(state)).toBe(before);
  });

  test('emptyCart returns a cart without lines, whose reminder is still due', () => {
    expect(emptyCart(NOW)).toEqual({ lines: [], ledger: [], lastChangeAt: NOW, reminderPassed: false });
  });

  test('applyChange clears the reminder that was sent', () => {
    const reminded = makeCart({ reminderPassed: true, remindedAt: NOW });

    expect(applyChange(reminded, addChange('MUG', 1), LATER)).toEqual({
      lines: [{ sku: 'MUG', quantity: 1 }],
      ledger: [],
      lastChangeAt: LATER,
      reminderPassed: false,
      hasChanged: true,
      changes: [{ at: LATER, event: 'item_added', sku: 'MUG', quantityBefore: 0, quantityAfter: 1 }],
    });
  });

  test('lastIdempotencyKey is the key of the last change and is absent if that change has no key', () => {
    const first = applyChange(makeCart(), addChange('MUG', 1, 'r1'), NOW);

    expect(applyChange(first, addChange('MUG', 1, 'r2'), LATER).lastIdempotencyKey).toBe('r2');
    expect(applyChange(first, addChange('MUG', 1), LATER)).not.toHaveProperty('lastIdempotencyKey');
  });

  test('the lifetime that an added item sets stays until another added item changes the lifetime', () => {
    const first = applyChange(
      makeCart(),
      { ...addChange('MUG', 1), remindAfterSeconds: 5, expireAfterSeconds: 9 } as Change,
      NOW,
    );
    const second = applyChange(applyChange(first, addChange('PAN', 1), LATER), setChange('PAN', 2), LATER);
    const third = applyChange(second, { ...addChange('PAN', 1), expireAfterSeconds: 7 } as Change, LATER);

    expect(first).toMatchObject({ remindAfterSeconds: 5, expireAfterSeconds: 9 });
    expect(second).toMatchObject({ remindAfterSeconds: 5, expireAfterSeconds: 9 });
    expect(third).toMatchObject({ remindAfterSeconds: 5, expireAfterSeconds: 7 });
  });

  test('applyChange ignores a lifetime in a setQuantity change', () => {
    const change = { ...setChange('MUG', 2), remindAfterSeconds: 5, expireAfterSeconds: 9 } as Change;

    expect(applyChange(cartWith({ MUG: 1 }), change, LATER)).not.toHaveProperty('remindAfterSeconds');
  });

  test('a full request ledger drops the oldest idempotency key', () => {
    let state = makeCart();
    for (let number = 0; number <= LIMITS.ledger; number++)
      state = applyChange(state, addChange('MUG', 1, `r${number}`), NOW);

    expect(state.ledger).toHaveLength(LIMITS.ledger);
    expect(checkLedger(state, addChange('MUG', 1, 'r0'))).toBe('new');
    expect(checkLedger(state, addChange('MUG', 1, 'r1'))).toBe('repeated');
    expect(checkLedger(state, addChange('MUG', 1, `r${LIMITS.ledger}`))).toBe('repeated');
  });
});

describe('the latest changes of a cart', () => {
  test.each<[Change, object]>([
    [addChange('MUG', 3), { event: 'item_added', sku: 'MUG', quantityBefore: 2, quantityAfter: 5 }],
    [addChange('PAN', 3), { event: 'item_added', sku: 'PAN', quantityBefore: 0, quantityAfter: 3 }],
    [setChange('MUG', 1), { event: 'quantity_set', sku: 'MUG', quantityBefore: 2, quantityAfter: 1 }],
    [removeChange('MUG'), { event: 'item_removed', sku: 'MUG', quantityBefore: 2, quantityAfter: 0 }],
    [checkout, { event: 'checked_out' }],
    [
      { ...abandon, caller: 'ada' },
      { event: 'abandoned', caller: 'ada' },
    ],
  ])('applyChange records %j without its payment and idempotency key', (change, recorded) => {
    const { changes } = applyChange(cartWith({ MUG: 2 }), { ...change, idempotencyKey: 'r' }, LATER);

    expect(changes).toEqual([{ at: LATER, ...recorded }]);
  });

  test('a cart remembers its latest 20 changes, oldest first', () => {
    let state = makeCart();
    for (let quantity = 1; quantity <= LIMITS.changes + 2; quantity++)
      state = applyChange(state, addChange('MUG', quantity), NOW);

    expect(state.changes).toHaveLength(20);
    expect(state.changes![0]).toMatchObject({ quantityBefore: 3, quantityAfter: 6 });
    expect(state.changes!.at(-1)).toMatchObject({ quantityBefore: 231, quantityAfter: 253 });
  });
});

describe('checkLedger', () => {
  const known: [Change, Change][] = [
    [addChange('MUG', 1, 'r'), { kind: 'addItem', idempotencyKey: 'r', quantity: 1, sku: 'MUG' }],
    [
      { ...checkout, idempotencyKey: 'r' },
      { idempotencyKey: 'r', ...checkout },
    ],
    [
      { ...abandon, idempotencyKey: 'r' },
      { ...abandon, idempotencyKey: 'r' },
    ],
  ];
  test.each(known)('checkLedger treats %j followed by %j as a repetition', (first, again) => {
    expect(checkLedger(applyChange(makeCart(), first, NOW), again)).toBe('repeated');
  });

  const reused: [Change, Change][] = [
    [addChange('MUG', 1, 'r'), addChange('MUG', 2, 'r')],
    [addChange('MUG', 1, 'r'), addChange('PAN', 1, 'r')],
    [addChange('MUG', 1, 'r'), { ...setChange('MUG', 1), idempotencyKey: 'r' }],
    [
      addChange('MUG', 1, 'r'),
      { kind: 'addItem', sku: 'MUG', quantity: 1, expireAfterSeconds: 5, idempotencyKey: 'r' },
    ],
    [
      { ...removeChange('MUG'), idempotencyKey: 'r' },
      { ...removeChange('PAN'), idempotencyKey: 'r' },
    ],
    [
      { ...checkout, idempotencyKey: 'r' },
      { kind: 'checkout', payment: { token: 'tok_other' }, idempotencyKey: 'r' },
    ],
    [
      { ...checkout, idempotencyKey: 'r' },
      { ...checkout, customerId: 'somebody', idempotencyKey: 'r' },
    ],
    [
      { ...checkout, idempotencyKey: 'r' },
      { ...abandon, idempotencyKey: 'r' },
    ],
  ];
  test.each(reused)('checkLedger detects that the idempotency key of %j is reused by %j', (first, other) => {
    expect(checkLedger(applyChange(makeCart(), first, NOW), other)).toBe('other');
  });

  test('checkLedger treats a request without an idempotency key or with a new key as new', () => {
    expect(checkLedger(applyChange(makeCart(), addChange('MUG', 1), NOW), addChange('MUG', 1))).toBe('new');
    expect(checkLedger(applyChange(makeCart(), addChange('MUG', 1, 'r'), NOW), addChange('MUG', 1, 's'))).toBe('new');
  });
});

describe('changeRejectionOf', () => {
  const full = cartWith(Object.fromEntries(Array.from({ length: LIMITS.lines }, (_, number) => [`SKU-${number}`, 1])));

  test.each<[string, CartSnapshot, Change, string, string]>([
    [
      'one product too many is added',
      full,
      addChange('MUG', 1),
      'TooManyLines',
      'a cart holds at most 100 different products',
    ],
    [
      'an addition makes the line too large',
      cartWith({ MUG: 999 }),
      addChange('MUG', 2),
      ...(['QuantityTooLarge', 'a line holds at most 1000 pieces, not 1001'] as const),
    ],
    [
      'too large a quantity is set',
      cartWith({ MUG: 1 }),
      setChange('MUG', 1_002),
      ...(['QuantityTooLarge', 'a line holds at most 1000 pieces, not 1002'] as const),
    ],
    [
      'the quantity of a product that is not in the cart is set',
      cartWith({ MUG: 1 }),
      setChange('PAN', 1),
      ...(['NotInCart', 'PAN is not in the cart'] as const),
    ],
    [
      'a product that is not in the cart is removed',
      makeCart(),
      removeChange('MUG'),
      'NotInCart',
      'MUG is not in the cart',
    ],
    ['an empty cart is checked out', makeCart(), checkout, 'EmptyCart', 'there is nothing in the cart'],
  ])('changeRejectionOf explains the rejection if %s', (_description, state, change, type, message) => {
    expect(changeRejectionOf(state, change)).toEqual({ type, message });
  });

  test.each<[string, CartSnapshot, Change]>([
    ['more of a product is added to a full cart', full, addChange('SKU-7', 1)],
    ['an addition brings a line to its maximum quantity', cartWith({ MUG: 999 }), addChange('MUG', 1)],
    ['the largest quantity is set', cartWith({ MUG: 1 }), setChange('MUG', 1_000)],
    ['an added product becomes the last allowed line', makeCart({ lines: full.lines.slice(1) }), addChange('MUG', 1)],
    ['a product in the cart is removed', cartWith({ MUG: 1 }), removeChange('MUG')],
    ['a cart with a product is checked out', cartWith({ MUG: 1 }), checkout],
    ['an empty cart is abandoned', makeCart(), abandon],
  ])('changeRejectionOf returns no rejection if %s', (_description, state, change) => {
    expect(changeRejectionOf(state, change)).toBeUndefined();
  });

  test('quantityAfter returns the new quantity for an added item or a set quantity, otherwise undefined', () => {
    const cart = cartWith({ MUG: 2 });
    const expected = [
      addChange('MUG', 3),
      addChange('PAN', 3),
      setChange('MUG', 9),
      removeChange('MUG'),
      checkout,
      abandon,
    ].map((change) => quantityAfter(cart, change));

    expect(expected).toEqual([5, 3, 9, undefined, undefined, undefined]);
  });

  test('quantityAfter ignores the quantity of a removeItem change', () => {
    expect(quantityAfter(cartWith({ MUG: 2 }), { ...removeChange('MUG'), quantity: 9 } as Change)).toBeUndefined();
  });
});

describe('any sequence of cart changes', () => {
  const sku = fc.constantFrom('MUG', 'PAN', 'CUP');
  const idempotencyKey = fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined });
  const quantity = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: LIMITS.quantity }));
  const anyChange: fc.Arbitrary<Change> = fc.oneof(
    fc.record({ kind: fc.constant('addItem' as const), sku, quantity, idempotencyKey }),
    fc.record({ kind: fc.constant('setQuantity' as const), sku, quantity, idempotencyKey }),
    fc.record({ kind: fc.constant('removeItem' as const), sku, idempotencyKey }),
  );

  /** Applies a change if the workflow would accept the change. */
  const isAccepted = (state: CartSnapshot, change: Change) =>
    checkLedger(state, change) === 'new' && !changeRejectionOf(state, change)
      ? deepFreeze(applyChange(state, change, LATER))
      : state;

  test('any sequence of cart changes leads to a valid state within the limits', () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 60 }), (changes) => {
        const state = changes.reduce(isAccepted, makeCart());

        expect(cartSnapshot.parse(state)).toEqual(state);
        expect(new Set(state.lines.map((line) => line.sku)).size).toBe(state.lines.length);
        expect(new Set(state.ledger.map(({ id }) => id)).size).toBe(state.ledger.length);
      }),
    );
  });

  test('a JSON round trip of the state, as in continue-as-new, does not affect the result of later changes', () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 30 }), fc.array(anyChange, { maxLength: 30 }), (first, then) => {
        const before = first.reduce(isAccepted, makeCart());
        const handedOver = deepFreeze(JSON.parse(JSON.stringify(before)) as CartSnapshot);

        expect(then.reduce(isAccepted, handedOver)).toEqual(then.reduce(isAccepted, before));
      }),
    );
  });

  test('changes with idempotency keys have the same result when they are sent twice', () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 30 }), (changes) => {
        const named = changes.map((change, number) => ({ ...change, idempotencyKey: `r${number}` }));
        const once = named.reduce(isAccepted, makeCart());
        const rejected = named.filter((change) => checkLedger(once, change) === 'new');

        const again = named.filter((change) => !rejected.includes(change)).reduce(isAccepted, once);

        expect(again).toEqual(once);
      }),
    );
  });

  test('additions lead to the same quantities in forward and reverse order', () => {
    const adds = fc.array(
      fc.record({ kind: fc.constant('addItem' as const), sku, quantity: fc.integer({ min: 1, max: 9 }) }),
      {
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(adds, (changes) => {
        const there = changes.reduce<CartSnapshot>(isAccepted, makeCart());
        const back = [...changes].reverse().reduce<CartSnapshot>(isAccepted, makeCart());

        for (const name of ['MUG', 'PAN', 'CUP']) expect(quantityOf(back, name)).toBe(quantityOf(there, name));
      }),
    );
  });
});

describe('fingerprint', () => {
  // Open carts keep fingerprints across runs. With a new format, a repeated request would look like another request.
  test.each<[Change, string]>([
    [addChange('MUG', 2, 'r'), 'addItem MUG 2'],
    [{ kind: 'addItem', sku: 'MUG', quantity: 2, remindAfterSeconds: 5 }, 'addItem MUG 2 5'],
    [{ kind: 'addItem', sku: 'MUG', quantity: 2, expireAfterSeconds: 9 }, 'addItem MUG 2  9'],
    [{ kind: 'addItem', sku: 'MUG', quantity: 2, remindAfterSeconds: 5, expireAfterSeconds: 9 }, 'addItem MUG 2 5 9'],
    [setChange('MUG', 2), 'setQuantity MUG 2'],
    [removeChange('MUG'), 'removeItem MUG'],
    [checkout, 'checkout   tok_ok'],
    [{ kind: 'checkout', payment, customerId: 'ada' }, 'checkout ada  tok_ok'],
    [{ kind: 'checkout', payment, expectedTotal: { value: 5, currency: 'EUR' } }, 'checkout  EUR5 tok_ok'],
    [abandon, 'abandon'],
  ])('the fingerprint of %j is stable', (change, text) => {
    expect(fingerprint(change)).toBe(text);
  });
});

describe('unparsed cart requests', () => {
  const schemas: Record<ChangeKind, z.ZodType> = {
    addItem: addItemInput,
    setQuantity: setQuantityInput,
    removeItem: removeItemInput,
    checkout: checkoutInput,
    abandon: abandonInput,
  };
  const kinds = Object.keys(schemas) as ChangeKind[];

  /** Expects that `validateChange` accepts the same arguments as the schema. `abandon` also accepts no argument. */
  function expectAgreement(kind: ChangeKind, argument: unknown): void {
    const trusted = (kind === 'abandon' && argument == null) || schemas[kind].safeParse(argument).success;
    expect(validateChange(kind, argument)).toEqual(
      trusted ? undefined : { type: 'InvalidInput', message: expect.stringContaining(kind) },
    );
  }

  const skuLike = fc.oneof(
    fc.constantFrom(
      'MUG',
      'mug',
      '',
      '-',
      'A',
      'MUG\n',
      '\nMUG',
      ' MUG',
      'MÜG',
      'A'.repeat(32),
      'A'.repeat(33),
      'MUG_1',
    ),
    fc.string({ unit: fc.constantFrom('A', 'Z', '0', '9', '-'), maxLength: 34 }),
  );
  const idLike = fc.oneof(
    fc.constantFrom('c-1', 'C.1_x', '.c', '', 'c 1', 'c\n', 'c/1', 'cé', 'c'.repeat(120), 'c'.repeat(121)),
    fc.constantFrom("ada.o'brien@example.com", 'auth0|1', '-a', '_a', 'a"b', 'a\\b', '<a>', 'a`b', '[a]{b}(c)'),
    fc.string({ unit: 'grapheme-ascii', maxLength: 122 }),
  );
  const textLike = fc.oneof(
    fc.constantFrom('', 'x', '\0', 'a\0b', '\ud800', '\udc00x', '😀', ' ', '\n'),
    fc.constantFrom(200, 201, 255, 256).map((length) => 'x'.repeat(length)),
    fc.constantFrom(100, 101, 127, 128).map((length) => '😀'.repeat(length)),
    fc.string({ unit: 'binary' }),
  );
  const quantityLike = fc.oneof(
    fc.constantFrom<unknown>(
      0,
      -0,
      -1,
      1,
      999,
      1_000,
      1_001,
      1.5,
      0.999999,
      1e21,
      2 ** 53,
      '1',
      true,
      [1],
      NaN,
      Infinity,
    ),
    fc.integer({ min: -5, max: 1_005 }),
    fc.double(),
  );
  const secondsLike = fc.constantFrom<unknown>(0, 1, 1.5, MAX_IDLE_SECONDS, MAX_IDLE_SECONDS + 1, -1, '60', NaN);
  const junk = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(undefined));
  const mostlyValue = (good: unknown, other: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 3, arbitrary: fc.constant(good) }, { weight: 2, arbitrary: other });
  const mostly = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 9, arbitrary: arbitrary }, { weight: 1, arbitrary: junk });

  const fields: Record<string, fc.Arbitrary<unknown>> = {
    sku: mostly(mostlyValue('MUG', skuLike)),
    quantity: mostly(mostlyValue(1, quantityLike)),
    idempotencyKey: mostly(mostlyValue('r', textLike)),
    remindAfterSeconds: mostly(mostlyValue(60, secondsLike)),
    expireAfterSeconds: mostly(mostlyValue(60, secondsLike)),
    customerId: mostly(mostlyValue('c', idLike)),
    expectedTotal: mostlyValue(
      { value: 5, currency: 'EUR' },
      fc.record(
        {
          value: mostly(fc.constantFrom<unknown>(0, 1, 2 ** 53 - 1, 2 ** 53, -1, 1.5, '1', NaN)),
          // No unknown currency codes here: only the activity rejects them, because workflow code has no list of currencies.
          currency: mostly(fc.constantFrom<unknown>('EUR', 'HUF', 'eur', 'EURO', '')),
        },
        { requiredKeys: [] },
      ),
    ),
    payment: mostly(
      fc.oneof(
        fc.constant({ token: 'tok_ok' }),
        fc.record({ token: mostly(textLike), extra: junk }, { requiredKeys: [] }),
        fc.record({ token: textLike }),
      ),
    ),
  };
  /**
   * Objects with the expected fields of a change. Sometimes one expected field is missing, or one field of another change
   * or an unknown field is added.
   */
  const withTypos = (expected: string[]): fc.Arbitrary<unknown> =>
    fc
      .tuple(
        fc.record(Object.fromEntries(expected.map((name) => [name, fields[name]!]))),
        fc.subarray(expected, { maxLength: 1 }),
        fc.option(fc.tuple(fc.constantFrom(...Object.keys(fields), 'kind', 'constructor', 'toString', 'x'), junk), {
          nil: undefined,
          freq: 5,
        }),
      )
      .map(([object, without, extra]) => {
        const kept = Object.entries(object).filter(([name]) => !without.includes(name));
        return Object.fromEntries(extra ? [...kept, extra] : kept);
      });
  const names: Record<ChangeKind, string[]> = {
    addItem: ['sku', 'quantity', 'remindAfterSeconds', 'expireAfterSeconds', 'idempotencyKey'],
    setQuantity: ['sku', 'quantity', 'idempotencyKey'],
    removeItem: ['sku', 'idempotencyKey'],
    checkout: ['payment', 'customerId', 'expectedTotal', 'idempotencyKey'],
    abandon: ['idempotencyKey'],
  };

  test.each<[ChangeKind, unknown]>([
    ['abandon', undefined],
    ['abandon', null],
    ['abandon', {}],
    ['abandon', []],
    ['abandon', ''],
    ['abandon', 5],
    ['abandon', { reason: 'x' }],
    ['abandon', { idempotencyKey: '' }],
    ['abandon', { idempotencyKey: 'x'.repeat(256) }],
    ['abandon', { idempotencyKey: ['x'] }],
    ['abandon', { idempotencyKey: 'a\0b' }],
    ['abandon', { idempotencyKey: '\ud800' }],
    ['abandon', { caller: 'ada' }],
    ['abandon', { caller: '' }],
    ['abandon', { caller: ' ada' }],
    ['abandon', { caller: 'ada ' }],
    ['abandon', { caller: 'a'.repeat(64) }],
    ['abandon', { caller: 'a'.repeat(65) }],
    ['abandon', { caller: 5 }],
    ['addItem', undefined],
    ['addItem', null],
    ...['MUG', 'A', 'A'.repeat(32), 'A'.repeat(33), '-MUG', 'MUG!', '!MUG', 'mug', '', undefined, 7, ['MUG']].flatMap(
      (sku): [ChangeKind, unknown][] => [
        ['addItem', { sku, quantity: 1 }],
        ['setQuantity', { sku, quantity: 1 }],
        ['removeItem', { sku }],
      ],
    ),
    ...[0, 1, 1.5, 1_000, 1_001, '1', undefined].flatMap((quantity): [ChangeKind, unknown][] => [
      ['addItem', { sku: 'MUG', quantity }],
      ['setQuantity', { sku: 'MUG', quantity }],
    ]),
    ...[0, 1, 1.5, MAX_IDLE_SECONDS, MAX_IDLE_SECONDS + 1, '60'].flatMap((seconds): [ChangeKind, unknown][] => [
      ['addItem', { sku: 'MUG', quantity: 1, remindAfterSeconds: seconds }],
      ['addItem', { sku: 'MUG', quantity: 1, expireAfterSeconds: seconds }],
    ]),
    ...kinds.flatMap((kind): [ChangeKind, unknown][] => [
      [kind, { sku: 'MUG', quantity: 1, payment, idempotencyKey: 'r', caller: 'ada' }],
      [kind, { ...(kind === 'checkout' ? { payment } : { sku: 'MUG' }), idempotencyKey: 'r', caller: 'ada' }],
    ]),
    ['setQuantity', { sku: 'MUG', quantity: 1, idempotencyKey: 'r', caller: 'ada' }],
    ['addItem', { sku: 'MUG', quantity: 1, idempotencyKey: 'r', caller: 'ada' }],
    ['checkout', { payment }],
    ['checkout', { payment, customerId: 'ada' }],
    ['checkout', { payment, customerId: 'ada!' }],
    ['checkout', { payment, customerId: '' }],
    ['checkout', { payment: null }],
    ['checkout', { payment: 'tok_ok' }],
    ['checkout', { payment: { token: '' } }],
    ['checkout', { payment: { token: 'x'.repeat(200) } }],
    ['checkout', { payment: { token: 'x'.repeat(201) } }],
    ['checkout', {}],
    ['addItem', { sku: 'MUG', quantity: 1, idempotencyKey: undefined }],
    ['addItem', { sku: 'MUG', quantity: 1, idempotencyKey: null }],
    ['addItem', JSON.parse('{"sku":"MUG","quantity":1,"__proto__":1}')],
    ['removeItem', JSON.parse('{"__proto__":{"sku":"MUG"}}')],
    ['removeItem', ['MUG']],
    ['checkout', { payment: [] }],
    ['checkout', { payment: { token: 'x', amount: 1 } }],
  ])('validateChange agrees with the schema for %s with the argument %j', (kind, argument) => {
    expectAgreement(kind, argument);
  });

  test.each<[ChangeKind, string]>([
    [
      'addItem',
      '{"sku": string, "quantity": 1 to 1000, "remindAfterSeconds"?: number, "expireAfterSeconds"?: number, "idempotencyKey"?: string, "caller"?: string}',
    ],
    ['setQuantity', '{"sku": string, "quantity": 1 to 1000, "idempotencyKey"?: string, "caller"?: string}'],
    ['removeItem', '{"sku": string, "idempotencyKey"?: string, "caller"?: string}'],
    [
      'checkout',
      '{"payment": {"token": string}, "customerId"?: string, "expectedTotal"?: {"value": number, "currency": string}, "idempotencyKey"?: string, "caller"?: string}',
    ],
    ['abandon', '{"idempotencyKey"?: string, "caller"?: string}, or nothing'],
  ])('the error for an invalid argument of %s shows the expected form', (kind, expected) => {
    expect(validateChange(kind, ['x'])?.message).toBe(`the argument of ${kind} must be ${expected}`);
  });

  test.each(kinds)('validateChange agrees with the schema for %s with any argument', (kind) => {
    const argument = fc.oneof({ weight: 9, arbitrary: withTypos(names[kind]) }, { weight: 1, arbitrary: junk });
    let isAccepted = 0;
    fc.assert(
      fc.property(argument, (value) => {
        isAccepted += validateChange(kind, value) ? 0 : 1;
        expectAgreement(kind, value);
      }),
      { numRuns: 2_000 },
    );
    // The test proves little unless the generator creates many valid and many invalid arguments.
    expect(isAccepted).toBeGreaterThan(50);
    expect(isAccepted).toBeLessThan(1_900);
  });

  test('workflow code has the same limits for cart requests as the schemas', () => {
    expect(LIMITS.lines).toBe(MAX_CART_LINES);
    expect(LIMITS.changes).toBe(MAX_CART_CHANGES);
    expect(LIMITS.quantity).toBe(MAX_LINE_QUANTITY);
    expect(LIMITS.seconds).toBe(MAX_IDLE_SECONDS);
    for (const [length, problem] of [
      [LIMITS.idempotencyKey, false],
      [LIMITS.idempotencyKey + 1, true],
    ] as const) {
      const idempotencyKey = 'x'.repeat(length);
      expect(validateChange('abandon', { idempotencyKey }) !== undefined).toBe(problem);
      expect(abandonInput.safeParse({ idempotencyKey }).success).toBe(!problem);
    }
  });

  test('two cart requests have the same fingerprint only if they are equal', () => {
    const seconds = fc.integer({ min: 1, max: 3 });
    const line = { sku: fc.constantFrom('A', 'A-1'), quantity: fc.integer({ min: 1, max: 11 }) };
    const change = fc.oneof(
      fc.record(
        {
          kind: fc.constant('addItem' as const),
          ...line,
          remindAfterSeconds: seconds,
          expireAfterSeconds: seconds,
        },
        { requiredKeys: ['kind', 'sku', 'quantity'] },
      ),
      fc.record({ kind: fc.constant('setQuantity' as const), ...line }),
      fc.record({ kind: fc.constant('removeItem' as const), sku: fc.constantFrom('A', 'A-1') }),
      fc.record(
        {
          kind: fc.constant('checkout' as const),
          customerId: fc.constantFrom('a', 'b'),
          expectedTotal: fc.record({ value: fc.constantFrom(1, 11), currency: fc.constantFrom('EUR', 'USD') }),
          payment: fc.record({ token: fc.constantFrom('a', 'a b', 'b', ' ') }),
        },
        { requiredKeys: ['kind', 'payment'] },
      ),
      fc.constant(abandon),
    );
    fc.assert(
      fc.property(change, change, (one, other) => {
        const same = JSON.stringify(sortKeys(one)) === JSON.stringify(sortKeys(other));
        expect(fingerprint(one as Change) === fingerprint(other as Change)).toBe(same);
      }),
      { numRuns: 1_000 },
    );
  });
});

const sortKeys = (object: object) => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Freezes a value deeply, so that an attempt to modify the value throws. */
function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
