import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../processes/commands.js';
import { fetchGoProgram, type FetchOptions } from '../../servers/programs/go-program.js';
import type { FoundProgram } from '../../servers/programs/program-sources.js';

const VERSION = '0.203.0';

/**
 * Returns stripe-mock, which checks requests against Stripe's OpenAPI document. Builds it with Go if it is missing.
 *
 * @throws when it is missing and `allowBuild` is false, or when it cannot be built.
 */
export async function findStripeMock({
  settings,
  report,
  allowBuild,
}: FetchOptions & { allowBuild: boolean }): Promise<FoundProgram> {
  if (!allowBuild && !existsSync(join(settings.cacheDir, `stripe-mock-${VERSION}`)))
    throw new Error('stripe-mock is not built; a test run with REQUIRE_ALL_PROGRAMS=1 builds it');
  return await fetchGoProgram({
    name: 'stripe-mock',
    module: 'github.com/stripe/stripe-mock',
    version: VERSION,
    package: '.',
    linkerFlags: `-X main.version=${VERSION}`,
    verify: async (path) => {
      const output = await runCommand({ name: path, command: path, args: ['-version'], timeoutMs: 20_000 });
      return { path, version: output.trim().replace('stripe-mock ', '') };
    },
    settings,
    report,
  });
}
