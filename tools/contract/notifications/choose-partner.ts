import { UsageError } from '../usage-error.js';
import { startMailPartner, startSlackPartner, startWebhookPartner } from './fake-partners.js';
import type { NotificationPartner } from './partner.js';

const PARTNERS: Readonly<Record<string, () => Promise<NotificationPartner>>> = {
  mail: startMailPartner,
  webhook: startWebhookPartner,
  slack: startSlackPartner,
};

/** Starts the partner of the channel that `CHANNEL` names. Workers use all channels, so they have no such variable. */
export async function chooseNotificationPartner({
  CHANNEL = 'mail',
}: Readonly<Record<string, string | undefined>>): Promise<NotificationPartner> {
  const start = Object.hasOwn(PARTNERS, CHANNEL) ? PARTNERS[CHANNEL] : undefined;
  if (!start)
    throw new UsageError(`CHANNEL: must be mail, webhook or slack, got "${CHANNEL}" (example: CHANNEL=slack)`);
  return await start();
}
