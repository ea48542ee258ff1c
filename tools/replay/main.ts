import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { runReplay } from './run-replay.js';
import { createProcessContext } from '../terminal/command.js';

// This command reports differences itself, so the SDK must not log them too.
const filter = makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' });
Runtime.install({
  logger: new DefaultLogger('ERROR', () => undefined),
  telemetryOptions: { logging: { filter, forward: {} } },
});

/** `npm run replay [-- options]`: runs `runReplay` as a process. */
process.exit(await runReplay(process.argv.slice(2), createProcessContext()));
