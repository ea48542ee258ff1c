import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { runReplay } from './run-replay.js';
import { createReporter } from '../terminal/reporter.js';
import { inheritedEnvironment } from '../stack/settings/project.js';

// This command reports its findings itself; the SDK would log them again, at length.
const filter = makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' });
Runtime.install({
  logger: new DefaultLogger('ERROR', () => undefined),
  telemetryOptions: { logging: { filter, forward: {} } },
});

/** `npm run replay [-- options]`: runs tools/replay/run-replay.ts as a process. */
const { print } = createReporter();
const printError = (text: string) => console.error(text);
process.exit(await runReplay(process.argv.slice(2), { env: inheritedEnvironment(), print, printError }));
