import { z } from 'zod';
import { isLoopback, parseHostPattern } from '../http-client/addresses.js';

// The metadata `values` names the accepted values of a variable in docs/reference/configuration.md.

/** Parses an http or https URL and removes its trailing slashes. */
export const httpUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .transform((value) => value.replace(/\/+$/, ''))
  .meta({ values: 'http or https URL' });

/** The URL of a server with the API of Stripe. The client of Stripe sets the whole path, so the URL has none. */
export const stripeApiUrl = httpUrl
  .refine((value) => value === new URL(value).origin, 'must have no path, such as https://api.stripe.com')
  .meta({ values: 'http or https URL without a path' });

/** An http or https URL with the placeholder `{workflowId}`. */
export const workflowUrlTemplate = z
  .string()
  .refine(
    (value) => value.includes('{workflowId}') && /^https?:\/\/[^{]/.test(value) && URL.canParse(value),
    'must be an http or https URL that contains {workflowId}',
  )
  .meta({ values: 'http or https URL with `{workflowId}`' });

/** Parses an https URL, or an http URL on loopback. */
export const httpsUrl = z.string().refine(isHttpsUrl, 'must be an https URL').meta({ values: 'https URL' });

export function isHttpsUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname } = new URL(value);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

export const nonEmptyText = z.string().min(1).meta({ values: 'text' });

export const integer = (min: number, max: number) =>
  decimalNumber({ problem: `must be an integer from ${min} to ${max}`, min, max, pattern: /^\d+$/ }).meta({
    values: `integer from ${min} to ${max}`,
  });

export const decimal = (min: number, max: number) =>
  decimalNumber({ problem: `must be a number from ${min} to ${max}`, min, max, pattern: /^\d+(\.\d+)?$/ }).meta({
    values: `number from ${min} to ${max}`,
  });

/** Accepts only plain decimal digits. `1e3`, `0x10` and ` 7` are invalid. */
const decimalNumber = ({
  problem,
  min,
  max,
  pattern,
}: {
  problem: string;
  min: number;
  max: number;
  pattern: RegExp;
}) => z.string().regex(pattern, problem).transform(Number).pipe(z.number().min(min, problem).max(max, problem));

export const port = integer(1, 65_535);

export const booleanFlag = z
  .enum(['true', 'false'], 'must be true or false')
  .transform((value) => value === 'true')
  .meta({ values: '`true` or `false`' });

export const commaSeparated = z.string().transform((value) =>
  value
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean),
);

/** Key-value pairs in the format of OpenTelemetry, with percent-encoded values. */
export const keyValuePairs = z
  .string()
  .regex(/^\s*[^\s,=]+=[^\s,]*(\s*,\s*[^\s,=]+=[^\s,]*)*\s*$/, 'must be a comma-separated list of name=value pairs')
  .meta({ values: 'comma-separated `name=value` pairs' });

export const origins = commaSeparated
  .pipe(
    z.array(z.string().refine(isOrigin, 'must be a comma-separated list of origins such as https://shop.example.com')),
  )
  .meta({ values: 'comma-separated origins' });

function isOrigin(value: string): boolean {
  return /^https?:\/\/[^*]+$/.test(value) && URL.canParse(value) && new URL(value).origin === value;
}

/** Parses web links with their titles. A URL that contains a comma is not possible. */
export const titledLinks = commaSeparated
  .transform((entries, context) =>
    entries.map((entry) => {
      const [, title, url] = /^([^=]{1,40})=(https?:\/\/\S+)$/.exec(entry) ?? [];
      if (title !== undefined && url !== undefined && URL.canParse(url)) return { title: title.trim(), url };
      context.addIssue({
        code: 'custom',
        message: 'must be a comma-separated list of Title=URL, with http or https URLs',
      });
      return z.NEVER;
    }),
  )
  .meta({ values: 'comma-separated `Title=URL` pairs' });

export const allowedHosts = commaSeparated
  .pipe(
    z.array(
      z
        .string()
        .refine(
          (host) => parseHostPattern(host) !== undefined,
          'must be a comma-separated list of hosts such as hooks.example.com or *.partner.example',
        ),
    ),
  )
  .meta({ values: 'comma-separated hosts' });

/** One secret, or two during a rotation, separated by a comma. The first secret signs, and both verify. */
const rotatingSecrets = (pattern: RegExp, problem: string) =>
  commaSeparated.pipe(
    z
      .array(z.string().regex(pattern, problem))
      .min(1, problem)
      .max(2, 'must be one secret, or two secrets separated by a comma'),
  );

/** Secrets in the format of the Standard Webhooks specification. */
export const webhookSecrets = rotatingSecrets(
  /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/,
  'must be whsec_ followed by at least 24 bytes in base64',
).meta({ values: '`whsec_` and at least 24 bytes in base64' });

/** The signing secrets of Stripe's webhook endpoints, which are not base64. */
export const stripeWebhookSecrets = rotatingSecrets(
  /^whsec_\w{16,}$/,
  'must be whsec_ followed by at least 16 letters, digits or underscores',
).meta({ values: '`whsec_` and at least 16 letters, digits or underscores' });

export const plainSecrets = rotatingSecrets(
  /^[^\s,]{32,}$/,
  'must be at least 32 characters without spaces or commas',
).meta({ values: 'at least 32 characters without spaces or commas' });

export const stripeSecretKey = z
  .string()
  .regex(/^(sk|rk)_(test|live)_\w+$/, 'must be a secret key (sk_…) or a restricted key (rk_…) of Stripe')
  .meta({ values: '`sk_test_…`, `sk_live_…`, `rk_test_…` or `rk_live_…`' });

/**
 * Parses JSON in a variable and validates it with a schema. Error messages contain the JSON pointer of the invalid
 * value.
 */
export const jsonOf = <T extends z.ZodType>(schema: T) =>
  z
    .string()
    .transform((value, context): z.output<T> => {
      try {
        const parsed = schema.safeParse(JSON.parse(value));
        if (parsed.success) return parsed.data;
        for (const { path, message } of parsed.error.issues) {
          context.addIssue({ code: 'custom', message: `/${path.map(String).join('/')}: ${message}` });
        }
      } catch {
        context.addIssue({ code: 'custom', message: 'must be valid JSON' });
      }
      return z.NEVER;
    })
    .meta({ values: 'JSON' });
