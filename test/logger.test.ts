import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { temporalLogger } from '../src/logger.js';

test('when the SDK logs a whole task, then its payloads stay out of the log', () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const logger = temporalLogger(pino({ level: 'trace' }, stream));
  const payloads = { input: [{ data: 'secret' }] };

  logger.error('Error while processing ActivityTask.start', {
    ...{ activityType: 'chargePayment', workflowRunId: 'run', taskToken: 'secret' },
    ...{ task: JSON.stringify(payloads), taskEncoded: 'secret' },
  });
  logger.trace('Got activity task', { taskToken: 'secret', start: payloads });
  logger.trace('Got workflow activation', { runId: 'run', jobs: [payloads] });

  expect(lines).toHaveLength(3);
  expect(JSON.parse(lines[0]!)).toMatchObject({ activityType: 'chargePayment', runId: 'run' });
  expect(lines.join()).not.toContain('secret');
});
