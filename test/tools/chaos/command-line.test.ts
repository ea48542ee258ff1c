import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../tools/terminal/command-line.js';
import { readCommandLine } from '../../../tools/chaos/command-line.js';

describe('the command line of the chaos run', () => {
  test('defaults to 60 s on the dev server with a random seed', () => {
    expect(readCommandLine([])).toEqual({ seed: expect.any(Number), seconds: 60, servers: ['dev'] });
  });

  test('reads the seed, the duration and the servers', () => {
    const said = ['--seed', '42', '--seconds', '1800', '--server', 'both'];
    expect(readCommandLine(said)).toEqual({ seed: 42, seconds: 1800, servers: ['dev', 'full'] });
    expect(readCommandLine(['--server', 'full', '--seed', '0'])).toMatchObject({ seed: 0, servers: ['full'] });
    expect(readCommandLine(['--help'])).toBe('help');
  });

  test.each([
    ['--seed -1', "Option '--seed' argument is ambiguous"],
    ['--seed 1.5', '--seed 1.5: must be an integer from 0 to 2147483647'],
    ['--seconds 9', '--seconds 9: must be an integer from 10 to 86400'],
    ['--seconds', "Option '--seconds <value>' argument missing"],
    ['--server cloud', '--server cloud: must be dev, full or both'],
    ['--worse', "Unknown option '--worse'"],
    ['42', 'unexpected argument: 42'],
  ])('rejects %s with the reason', (line, reason) => {
    const read = () => readCommandLine(line.split(' '));
    expect(read).toThrow(UsageError);
    expect(read).toThrow(reason);
  });
});
