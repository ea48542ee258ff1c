import { inject, expect, test } from 'vitest';
import { DefaultLogger } from '@temporalio/worker';
import { ConfigError } from '../src/config.js';
import { workflowBundle } from '../src/temporal.js';

test('when a bundle is given without the flavour that is needed, then it is told by its name', async () => {
  const logger = new DefaultLogger('ERROR');
  const plain = inject('workflowBundle');
  expect(await workflowBundle(plain, logger)).toEqual({ codePath: plain });
  const missing = workflowBundle('elsewhere/bundle.js', logger, { traced: true });
  await expect(missing).rejects.toThrow(/WORKFLOW_BUNDLE: .* elsewhere\/bundle\.traced\.js/);
  await expect(missing).rejects.toBeInstanceOf(ConfigError);
});
