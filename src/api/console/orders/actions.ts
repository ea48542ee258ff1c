import html from 'html-template-tag';
import type { OrderResource, OrderStage } from '../../../schemas/order.js';
import { formatMoney } from '../../../schemas/shared/money.js';
import { restrictedIdOf, type Caller } from '../../http/caller.js';
import { actionHtml } from '../components.js';
import type { FormDraft } from './action-forms.js';
import { orderPath } from './list-page.js';
import { titleOf, type CompensationName } from './saga-steps.js';

/** The buttons that the caller may press in this state of the order. */
export function orderActionsHtml(order: OrderResource, caller: Caller, draft?: FormDraft): string {
  const isOperator = restrictedIdOf(caller) === undefined;
  const actions = [
    ...(isOperator ? [...compensationActions(order), ...deliveryActions(order, draft)] : []),
    ...cancelActions(order, draft),
  ];
  if (actions.length === 0) return '';
  return html`<div class="actions" role="group" aria-label="Actions">$${actions.join('')}</div>`;
}

const refundOf = ({ total }: OrderResource): string | undefined =>
  total && total.value > 0 ? formatMoney(total) : undefined;

/** A joined list of what happens: `a, b and c`. */
const sentenceOf = (parts: (string | undefined)[]): string =>
  new Intl.ListFormat('en').format(parts.filter((part) => part !== undefined));

const RELEASE = 'the reserved stock is released';

const recallText = (refunded: string | undefined) =>
  `The order stops: ${sentenceOf(['the carrier cancels the shipment', refunded, RELEASE])}. If the carrier has already picked up the parcel, the cancellation is rejected and the order continues.`;

/** What a cancellation does in each stage. Undefined if the order cannot be cancelled in the stage. */
const CANCEL_CONSEQUENCES: Record<OrderStage, ((refunded: string | undefined) => string) | undefined> = {
  reserving_stock: () => 'The order stops. If its stock is reserved in the meantime, the stock is released.',
  awaiting_approval: () =>
    `The order stops: ${sentenceOf(['its approval is withdrawn', RELEASE])}. Nothing was charged.`,
  charging_payment: (refunded) =>
    `The order stops once the running charge has ended: ${sentenceOf([refunded, RELEASE])}.`,
  requesting_shipment: recallText,
  awaiting_pickup: recallText,
  in_transit: undefined,
  compensating: undefined,
  done: undefined,
};

/** The button that cancels the order; none if the order cannot be cancelled. */
function cancelActions(order: OrderResource, draft: FormDraft | undefined): string[] {
  const consequenceOf = CANCEL_CONSEQUENCES[order.stage];
  if (!consequenceOf || order.cancellation) return [];
  const refund = refundOf(order);
  const value = draft?.form === 'cancel' ? draft.value : undefined;
  return [
    actionHtml({
      title: 'Cancel the order',
      consequence: consequenceOf(refund && `${refund} is refunded`),
      path: `${orderPath(order.orderId)}/cancel`,
      inputsHtml: html`<label
        >Reason (optional)
        <input name="reason" maxlength="500" autocomplete="off" value="${value ?? ''}" $${invalidHtml(value)}
      /></label>`,
      confirm: 'Cancel the order now',
      isDangerous: true,
      isOpen: value !== undefined,
    }),
  ];
}

function compensationActions(order: OrderResource): string[] {
  const path = `${orderPath(order.orderId)}/compensation`;
  const stuck = order.compensations.filter(({ status }) => status === 'stuck');
  return stuck.flatMap(({ name, attempt }) => {
    const fields = { compensation: name, attempt: String(attempt) };
    const title = titleOf(name).toLowerCase();
    return [
      actionHtml({
        title: `Retry: ${title}`,
        consequence: `“${titleOf(name)}” runs again now, as attempt ${attempt + 1}. If every call of this attempt fails, it stops and waits for the next decision.`,
        path,
        fields: { ...fields, action: 'retry' },
        confirm: `Retry: ${title}`,
      }),
      actionHtml({
        title: `Skip: ${title}`,
        consequence: `${skipConsequence(order, name)} This decision is final.`,
        path,
        fields: { ...fields, action: 'skip' },
        confirm: `Skip: ${title}`,
        isDangerous: true,
      }),
    ];
  });
}

const skipConsequence = (order: OrderResource, name: string): string =>
  Object.hasOwn(SKIP_CONSEQUENCES, name)
    ? SKIP_CONSEQUENCES[name as CompensationName](refundOf(order))
    : `“${titleOf(name)}” does not run.`;

const SKIP_CONSEQUENCES: Record<CompensationName, (refund: string | undefined) => string> = {
  refundPayment: (refund = 'the payment') =>
    `The shop does not refund ${refund} to the customer; refund it elsewhere if it was charged.`,
  cancelShipment: (refund) =>
    `The shipment is not cancelled, so the carrier may still deliver the parcel. The older compensations run: ${sentenceOf([refund && `${refund} is refunded`, 'the stock is released'])}.`,
  releaseStock: () => 'The reserved units do not return to the stock; they are written off.',
};

function deliveryActions(order: OrderResource, draft: FormDraft | undefined): string[] {
  const { overdueSince, attempt } = order.delivery ?? {};
  if (overdueSince === undefined || attempt === undefined) return [];
  const path = `${orderPath(order.orderId)}/delivery`;
  const fieldsOf = (action: string) => ({ attempt: String(attempt), action });
  const refund = refundOf(order);
  const value = draft?.form === 'wait' ? draft.value : undefined;
  return [
    actionHtml({
      title: 'Wait longer',
      consequence:
        'The carrier gets a new deadline, counted from now. Until then the order is processing again. After the new deadline, the carrier is polled once more before the delivery is overdue again.',
      path,
      fields: fieldsOf('wait'),
      inputsHtml: html`<label
        >Extra time in hours
        <span class="hint">Empty: the delivery timeout of the order.</span>
        <input
          name="extendByHours"
          inputmode="numeric"
          autocomplete="off"
          value="${value ?? ''}"
          $${invalidHtml(value)}
      /></label>`,
      confirm: 'Wait longer',
      isOpen: value !== undefined,
    }),
    actionHtml({
      title: 'Record as delivered',
      consequence:
        'The parcel counts as delivered, because the customer has received it. The order is completed. Nothing is refunded, and the stock stays sold.',
      path,
      fields: fieldsOf('delivered'),
      confirm: 'Record as delivered',
    }),
    actionHtml({
      title: 'Write off the parcel',
      consequence: `The parcel counts as lost and the order fails: ${sentenceOf([refund && `${refund} is refunded`, 'the stock is not returned', 'the shipment is not cancelled'])}.`,
      path,
      fields: fieldsOf('write_off'),
      confirm: 'Write off the parcel',
      isDangerous: true,
    }),
  ];
}

const invalidHtml = (value: string | undefined): string => (value === undefined ? '' : 'aria-invalid="true"');
