import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { duplicatePortProblems, freeLowPort, freePort, takenPortProblems } from '../../../tools/processes/ports.js';

const listenerOn = (port: number, host = '127.0.0.1') => ({
  host,
  port,
  hostVariable: 'HOST',
  portVariable: 'PORT',
});

describe('port checks', () => {
  test('takenPortProblems reports the variable of a port in use, its owner and a free port', async () => {
    const port = await freePort();
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    try {
      const [problem] = await takenPortProblems([listenerOn(port)]);
      expect(problem).toMatchObject({
        name: 'PORT',
        problem: expect.stringContaining(`port ${port} on 127.0.0.1 is in use`) as string,
        example: expect.stringMatching(/^\d+$/) as string,
      });
      if (process.platform === 'linux') expect(problem!.problem).toContain(`process ${process.pid}`);
    } finally {
      server.close();
    }
  });

  test('takenPortProblems accepts a free port and leaves it free', async () => {
    const port = await freePort();
    expect(await takenPortProblems([listenerOn(port), listenerOn(port)])).toEqual([]);
  });

  test('freeLowPort returns a free port below 32,768', async () => {
    const port = await freeLowPort();
    expect(port).toBeLessThan(2 ** 15);
    expect(await takenPortProblems([listenerOn(port)])).toEqual([]);
  });

  test('takenPortProblems reports the variable of a host that is not an address of this machine', async () => {
    expect(await takenPortProblems([listenerOn(await freePort(), '192.0.2.1')])).toEqual([
      { name: 'HOST', problem: 'must be an address of this machine', got: '192.0.2.1', example: '127.0.0.1' },
    ]);
  });

  test('duplicatePortProblems reports the second of two variables with the same port', () => {
    const listeners = [listenerOn(3000), { ...listenerOn(3000), portVariable: 'METRICS_PORT' }];
    expect(duplicatePortProblems(listeners)).toEqual([
      { name: 'METRICS_PORT', problem: 'must differ from PORT; both are 3000', example: '3100' },
    ]);
  });

  test('freePort returns a different port for each of many concurrent calls', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort));
    expect(new Set(ports).size).toBe(50);
  });
});
