import {
  connectionVariables,
  unsetAll,
  unsetShellVariables,
  type ApplicationVariable,
  type MetricsVariable,
} from './application-variables.js';
import type { Settings } from './settings.js';
import { developmentWebhookSecret } from './variable-rules.js';

/**
 * Returns the application's variables: the configured values, and otherwise defaults for a developer's machine. The
 * default secrets are public. Set your own secrets before you make the API reachable from other machines with HOST.
 */
export function developmentEnvironment(settings: Settings, apiUrl: string) {
  const { smtpUrl, smtpPort, temporalAddress, temporalUiPort, applicationEnv } = settings;
  const webUiOrigins = ['localhost', '127.0.0.1'].map((host) => `http://${host}:${temporalUiPort}`);
  return {
    SMTP_URL: smtpUrl ?? `smtp://127.0.0.1:${smtpPort}`,
    MAIL_FROM: 'Workflow patterns <no-reply@example.com>',
    PUBLIC_URL: apiUrl,
    APPROVAL_LINK_SECRET: 'development-only-link-secret-0000',
    APPROVAL_WEBHOOK_SECRET: 'whsec_ZGV2ZWxvcG1lbnQtb25seS1hcHByb3ZhbC13ZWJob29rcw==',
    OUTGOING_WEBHOOK_SECRET: 'whsec_ZGV2ZWxvcG1lbnQtb25seS1vdXRnb2luZy13ZWJob29rcw==',
    ...fakeSlackEnvironment(settings),
    CURSOR_SECRET: 'development-only-cursor-secret-0',
    OUTGOING_ALLOWED_HOSTS: undefined,
    OUTGOING_ALLOW_PRIVATE: 'true',
    ORDER_APPROVAL_THRESHOLD: '100000',
    ORDER_APPROVAL_STAGES: JSON.stringify([
      approvalStage('shift-lead', { timeoutSeconds: 86_400, remindEverySeconds: 14_400 }),
      approvalStage('manager', { timeoutSeconds: 172_800, remindEverySeconds: 43_200 }),
    ]),
    WORKFLOW_BUNDLE: undefined,
    PAYLOAD_ENCRYPTION_KEYS: undefined,
    CODEC_ORIGINS: webUiOrigins.join(','),
    ...unsetShellVariables,
    ...applicationEnv,
    // The connection settings of another server do not apply to the server that the stack starts.
    ...(temporalAddress === undefined && unsetAll(connectionVariables)),
  } satisfies Partial<Record<ApplicationVariable | MetricsVariable | 'SMTP_URL', string | undefined>>;
}

/** Whether at least one external system is a fake. */
export function usesFakes({ paymentsUrl, carrierUrl, smtpUrl }: Settings): boolean {
  return [paymentsUrl, carrierUrl, smtpUrl].includes(undefined);
}

/** Whether approvers get their messages in the fake Slack. A bot token belongs to a real workspace. */
export function usesFakeSlack(settings: Settings): boolean {
  return usesFakes(settings) && settings.applicationEnv.SLACK_BOT_TOKEN === undefined;
}

/** Whether payments use the fake Stripe. A secret key belongs to a real account. */
export const usesFakeStripe = ({ applicationEnv }: Settings): boolean =>
  applicationEnv.PAYMENTS === 'stripe' && applicationEnv.STRIPE_SECRET_KEY === undefined;

/** The approvers of `npm start` in the fake Slack, by user id. */
const SLACK_USERS = { U0LEAD: 'shift-lead', U0MANAGER: 'manager', U0GRACE: 'grace' };

const fakeSlackEnvironment = (settings: Settings) =>
  usesFakeSlack(settings)
    ? {
        SLACK_BOT_TOKEN: 'xoxb-fake',
        SLACK_SIGNING_SECRET: 'development-only-slack-secret-00',
        SLACK_APPROVERS: JSON.stringify(SLACK_USERS),
        SLACK_API_URL: `http://127.0.0.1:${settings.fakesPort}/slack/api`,
      }
    : {};

/** Returns the names of the secrets that still have their public default values. */
export function secretsWithPublicDefaults(settings: Settings): string[] {
  const { applicationEnv, carrierWebhookSecret } = settings;
  const ours = ['APPROVAL_LINK_SECRET', 'APPROVAL_WEBHOOK_SECRET', 'OUTGOING_WEBHOOK_SECRET', 'CURSOR_SECRET'] as const;
  return [
    ...(carrierWebhookSecret === developmentWebhookSecret ? ['CARRIER_WEBHOOK_SECRET'] : []),
    ...ours.filter((name) => applicationEnv[name] === undefined),
    ...(usesFakeSlack(settings) && applicationEnv.SLACK_SIGNING_SECRET === undefined ? ['SLACK_SIGNING_SECRET'] : []),
    ...(usesFakeStripe(settings) && applicationEnv.STRIPE_WEBHOOK_SECRET === undefined
      ? ['STRIPE_WEBHOOK_SECRET']
      : []),
  ];
}

function approvalStage(approver: string, times: { timeoutSeconds: number; remindEverySeconds: number }) {
  return { approvers: [{ id: approver, email: `${approver}@example.com` }], ...times };
}
