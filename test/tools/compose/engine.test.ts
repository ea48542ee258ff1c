import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { findEngine, NoEngineError } from '../../../tools/compose/engine.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('without an engine and its program, the error says how to get an engine', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'no-programs-'));
  vi.stubEnv('PATH', empty);

  const failure: unknown = await findEngine(empty).catch((error: unknown) => error);

  await rm(empty, { recursive: true });
  expect(failure).toBeInstanceOf(NoEngineError);
  expect((failure as Error).message).toMatch(/no container engine runs.*\n\s+fix: .*apt-get install docker\.io/);
});
