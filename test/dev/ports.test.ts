import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { equalPorts, freeLowPort, freePort, takenPorts } from '../../dev/ports.js';

const listener = (port: number, host = '127.0.0.1') => ({
  ...{ host, port, hostVariable: 'HOST', portVariable: 'PORT' },
});

describe('ports', () => {
  it('names the variable of a taken port, its holder and another port', async () => {
    const port = await freePort();
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    try {
      const [problem] = await takenPorts([listener(port)]);
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

  it('finds a free port free, and leaves it free', async () => {
    const port = await freePort();
    expect(await takenPorts([listener(port), listener(port)])).toEqual([]);
  });

  it('finds low ports that are free and fit into 15 bits', async () => {
    const port = await freeLowPort();
    expect(port).toBeLessThan(2 ** 15);
    expect(await takenPorts([listener(port)])).toEqual([]);
  });

  it('names the variable of a host that is not of this machine', async () => {
    expect(await takenPorts([listener(await freePort(), '192.0.2.1')])).toEqual([
      { name: 'HOST', problem: 'must be an address of this machine', got: '192.0.2.1', example: '127.0.0.1' },
    ]);
  });

  it('names the second of two variables with the same port', () => {
    const listeners = [listener(3000), { ...listener(3000), portVariable: 'METRICS_PORT' }];
    expect(equalPorts(listeners)).toEqual([
      { name: 'METRICS_PORT', problem: 'must differ from PORT, both are 3000', example: '3100' },
    ]);
  });

  it('when many ask for a port at once, then each gets another one', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort));
    expect(new Set(ports).size).toBe(50);
  });
});
