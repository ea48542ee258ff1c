/** The values with which the forms are filled. They equal the files in `examples/`, which a deployment does not have. */
export const FORM_EXAMPLES = {
  /** `examples/order.json` */
  order: {
    customerId: 'ada',
    lines: [
      { sku: 'ESPRESSO-BEANS-1KG', quantity: 2 },
      { sku: 'MUG-ENAMEL', quantity: 1 },
    ],
    payment: { token: 'tok_ok' },
  },
  /** `examples/cart-item.json` */
  cart: { sku: 'ESPRESSO-BEANS-1KG', quantity: 2 },
  /** `examples/approval.json` */
  approval: {
    approvalId: 'new-roaster',
    title: 'Buy a new roaster?',
    description: 'The old one is from 1987.\nTwo offers are on the shared drive.',
    requestedBy: 'ada',
    amount: { value: 1_250_000, currency: 'EUR' },
    stages: [
      {
        approvers: [{ id: 'grace', email: 'grace@example.com' }, { id: 'erp' }],
        timeoutSeconds: 86_400,
        remindEverySeconds: 14_400,
      },
      { approvers: [{ id: 'manager', email: 'manager@example.com' }], timeoutSeconds: 172_800 },
    ],
    onTimeout: 'rejected',
  },
};
