import { join } from 'node:path';
import type { z } from 'zod';
import { API_VARIABLES } from '../../src/config/variables/api.js';
import type { ProcessName, VariableDeclaration } from '../../src/config/variables/declaration.js';
import { OBSERVABILITY_VARIABLES } from '../../src/config/variables/observability.js';
import { PARTNER_VARIABLES } from '../../src/config/variables/partners.js';
import { STORAGE_VARIABLES } from '../../src/config/variables/storage.js';
import { TEMPORAL_VARIABLES } from '../../src/config/variables/temporal.js';
import { WORKER_VARIABLES } from '../../src/config/variables/workers.js';
import { TASK_QUEUES } from '../../src/temporal/task-queues.js';
import { PROFILE_DESCRIPTIONS, PROFILE_SECRETS } from '../../src/temporal/connection-profile.js';
import { developmentEnvironment, secretsWithPublicDefaults } from '../settings/development-environment.js';
import { projectRoot } from '../settings/environment.js';
import { loadSettings } from '../settings/settings.js';
import { variableRules } from '../settings/variable-rules.js';
import { formatPage, renderTable } from './markdown.js';

export const CONFIGURATION_PAGE_PATH = join(projectRoot, 'docs/reference/configuration.md');

const INTRODUCTION = `# Configuration

<!-- Generated from src/config/variables, src/temporal/connection-profile.ts and tools/settings by "npm run openapi". -->

All configuration is in environment variables. An empty variable counts as unset. A process with an invalid configuration
exits with code 1 and prints one line for each problem, for example
\`PORT: must be an integer from 1 to 65535, got "abc" (example: PORT=3000)\`.

Before a process listens, it checks its ports, its files, the database and Temporal. The worker and setup exit if the
database or Temporal is unreachable. The API logs the problem, starts, and returns 503 for requests that need the missing
part.

**Secrets.** A variable that is marked as a secret can also come from a file: \`API_KEYS_FILE\` is the path of a file that
contains the value of \`API_KEYS\`. Logs and error messages never contain a secret. See
[security](../operations/security.md#secrets).

**Required.** A process that reads a required variable does not start without the variable. \`npm start\` sets all required
variables, see [values that npm start sets](#values-that-npm-start-sets).
`;

/** The sections of the page: a heading, and the variables in the order of their declaration. */
const SECTIONS: readonly (readonly [heading: string, variables: Record<string, VariableDeclaration>])[] = [
  ['PostgreSQL', STORAGE_VARIABLES],
  ['API', API_VARIABLES],
  ['External systems, webhooks and approvals', PARTNER_VARIABLES],
  ['Workers', WORKER_VARIABLES],
  ['Payload encryption', TEMPORAL_VARIABLES],
  ['Logs, health checks, metrics and traces', OBSERVABILITY_VARIABLES],
];

const PROCESS_NAMES: Record<ProcessName, string> = {
  worker: 'worker',
  api: 'API',
  setup: 'setup',
  replay: '`npm run replay`',
};

/** Renders the documentation page of the environment variables. */
export async function renderConfigurationPage(): Promise<string> {
  const page = [
    INTRODUCTION,
    ...SECTIONS.flatMap(([heading, variables]) => [
      `## ${heading}\n`,
      renderTable(
        ['variable', 'meaning', 'default', 'values', 'read by'],
        Object.entries(variables).map(([name, declaration]) => [
          `\`${name}\``,
          withSecretMark(withCodeNames(declaration.description), declaration.secret),
          defaultOf(declaration.schema, 'required'),
          valuesOf(name, declaration.schema),
          declaration.readBy.map((process) => PROCESS_NAMES[process]).join(', '),
        ]),
      ),
    ]),
    renderProfileSection(),
    renderStackSections(),
  ].join('\n');
  return await formatPage(CONFIGURATION_PAGE_PATH, page);
}

function renderProfileSection(): string {
  return `## Connection to Temporal

Worker, API, setup and \`npm run replay\` read these variables. Temporal's SDKs and its CLI use the same names.
[Security](../operations/security.md#connection-to-temporal) explains TLS, profiles and Temporal Cloud. A variable
\`TEMPORAL_GRPC_META_<NAME>\` sets a header of each request.

${renderTable(
  ['variable', 'meaning'],
  Object.entries(PROFILE_DESCRIPTIONS).map(([name, description]) => [
    `\`${name}\``,
    withSecretMark(
      description,
      PROFILE_SECRETS.some((secret) => secret === name),
    ),
  ]),
)}`;
}

function renderStackSections(): string {
  const settings = loadSettings({});
  const secrets = secretsWithPublicDefaults(settings);
  const values = Object.entries(developmentEnvironment(settings, `http://${settings.host}:${settings.port}`));
  return `## Variables of npm start

\`npm start\` reads the variables below. The worker and the API of \`npm start\` also get the other variables of the shell,
except \`METRICS_HOST\`. Without \`TEMPORAL_ADDRESS\`, they do not get the variables of the connection to Temporal. Other
commands that start servers, such as \`npm test\`, read the paths and folders.

${renderTable(
  ['variable', 'meaning', 'default', 'values'],
  Object.entries(variableRules).map(([name, { schema, problem, description }]) => [
    `\`${name}\``,
    description,
    secrets.includes(name) ? 'a public value' : defaultOf(schema, ''),
    problem.replace(/^must be (an? |the )?/, ''),
  ]),
)}

## Values that npm start sets

\`npm start\` sets these variables of worker and API, unless the shell sets them. A public value is in this repository, so
it is only for a machine that no other machine can reach.

${renderTable(
  ['variable', 'value'],
  values
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [`\`${name}\``, secrets.includes(name) ? 'a public value' : `\`${value}\``]),
)}`;
}

const withSecretMark = (text: string, isSecret: boolean | undefined) => (isSecret ? `${text} **Secret.**` : text);

/** Formats the names of variables in a description as code. */
const withCodeNames = (text: string) => text.replace(/(?<!`)\b[A-Z]+(?:_[A-Z0-9]+)+\b(?!`)/g, '`$&`');

/** Returns the default of a variable. `whenMissing` is the text for a variable that must be set. */
function defaultOf(schema: z.ZodType, whenMissing: string): string {
  const parsed = schema.safeParse(undefined);
  if (!parsed.success) return whenMissing;
  const value = parsed.data;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '';
  if (Array.isArray(value)) return value.length === TASK_QUEUES.length ? 'all' : value.join(',');
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

/** The part of zod's internal definitions that `valuesOf` reads. */
interface SchemaDefinition {
  type: string;
  innerType?: z.ZodType;
  entries?: Record<string, string>;
  values?: unknown[];
}

/** Returns the accepted values of a variable: the metadata `values` of its schema, or the values of an enum. */
function valuesOf(name: string, schema: z.ZodType): string {
  const { values } = schema.meta() ?? {};
  if (typeof values === 'string') return values;
  const definition = schema.def as unknown as SchemaDefinition;
  if (definition.type === 'enum') return listCodes(Object.values(definition.entries ?? {}));
  if (definition.type === 'literal') return listCodes((definition.values ?? []).map(String));
  // An optional value, or a value with a default.
  if (definition.innerType) return valuesOf(name, definition.innerType);
  throw new Error(`${name}: add .meta({ values: '…' }) to its schema, for docs/reference/configuration.md`);
}

const listCodes = (values: readonly string[]) => values.map((value) => `\`${value}\``).join(', ');
