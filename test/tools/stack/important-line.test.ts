import { describe, expect, test } from 'vitest';
import { formatImportantLine } from '../../../tools/stack/start/important-line.js';

describe('console output of a child process', () => {
  test.each([
    ['{"level":30,"msg":"started"}', 'stdout', undefined],
    ['{"level":40,"msg":"slow"}', 'stdout', 'warn: slow'],
    ['{"level":50,"msg":"no answer","err":{"message":"ECONNREFUSED"}}', 'stdout', 'error: no answer (ECONNREFUSED)'],
    ['Error: boom', 'stderr', 'Error: boom'],
    ['a banner', 'stdout', undefined],
    ['', 'stderr', undefined],
  ] as const)('prints %j on %s as %j', (line, stream, shown) => {
    expect(formatImportantLine(line, stream)).toBe(shown);
  });
});
