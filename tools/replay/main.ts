import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { runReplay } from './run-replay.js';
import { createReporter } from '../terminal/reporter.js';
import { inheritedEnvironment } from '../settings/environment.js';

// This command reports differences itself, so the SDK must not log them too.
const filter = makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' });
Runtime.install({
  logger: new DefaultLogger('ERROR', () => undefined),
  telemetryOptions: { logging: { filter, forward: {} } },
});

/** `npm run replay [-- options]`: runs `runReplay` as a process. */
const { print } = createReporter();
const printError = (text: string) => console.error(text);
process.exit(await runReplay(process.argv.slice(2), { env: inheritedEnvironment(), print, printError }));
