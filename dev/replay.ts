import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { runReplay } from './replay/command.js';
import { streamReport } from './report.js';
import { inheritedEnvironment } from './settings.js';

// This command reports its findings itself; the SDK would log them again, at length.
const filter = makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' });
Runtime.install({
  logger: new DefaultLogger('ERROR', () => undefined),
  telemetryOptions: { logging: { filter, forward: {} } },
});

/** `npm run replay [-- options]`: runs dev/replay/command.ts as a process. */
const { say } = streamReport();
const complain = (text: string) => console.error(text);
process.exit(await runReplay(process.argv.slice(2), { env: inheritedEnvironment(), say, complain }));
