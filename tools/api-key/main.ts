import { parseArgs } from 'node:util';
import { createApiKey } from '../../src/api/plugins/auth/api-keys.js';
import { apiKey, CALLER_ROLES } from '../../src/schemas/api-key.js';
import { toInputProblems } from '../../src/schemas/shared/input-problems.js';

/**
 * `npm run api-key -- <id> --role <role> [--role <role>]`: creates an API key and its configuration entry. The key is
 * printed once and not stored.
 */
const USAGE = `Usage: npm run api-key -- <id> --role ${CALLER_ROLES.join('|')} [--role …]`;

function main(args: string[]): void {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { role: { type: 'string', multiple: true, short: 'r' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return console.log(USAGE);
  const { key, hash } = createApiKey();
  const entry = apiKey.safeParse({ id: positionals.join(' '), roles: values.role ?? [], hashes: [hash] });
  if (!entry.success) {
    const problems = toInputProblems(entry.error.issues).map(
      ({ pointer, detail }) => `  ${pointer.slice(1)} ${detail}`,
    );
    throw new Error([USAGE, ...problems].join('\n'));
  }
  console.log(`The API key of ${entry.data.id} (this key is not shown again):

  ${key}

Add this entry to the list API_KEYS. The entry contains no secret. To allow a second key, add its hash to "hashes":

  ${JSON.stringify(entry.data)}
`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
