import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { assertPortFree, freeLowPort, freePort } from '../../dev/ports.js';

describe('ports', () => {
  it('when a port is taken, then the error names it, its holder and the variable that changes it', async () => {
    const port = await freePort();
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    try {
      const check = assertPortFree('the API', '127.0.0.1', port, 'PORT');
      await expect(check).rejects.toThrow(`Port ${port} on 127.0.0.1, wanted for the API, is taken`);
      await expect(check).rejects.toThrow(/PORT=\d+ npm start/);
      if (process.platform === 'linux') await expect(check).rejects.toThrow(`process ${process.pid}`);
    } finally {
      server.close();
    }
  });

  it('when a port is free, then the check passes and leaves it free', async () => {
    const port = await freePort();
    await assertPortFree('the API', '127.0.0.1', port, 'PORT');
    await assertPortFree('the API', '127.0.0.1', port, 'PORT');
  });

  it('when a port has to be low, then it fits into 15 bits and is free', async () => {
    const port = await freeLowPort();
    expect(port).toBeLessThan(2 ** 15);
    await assertPortFree('the API', '127.0.0.1', port, 'PORT');
  });

  it('when the host is not of this machine, then the error says so', async () => {
    await expect(assertPortFree('the API', '192.0.2.1', await freePort(), 'PORT')).rejects.toThrow(/192\.0\.2\.1/);
  });

  it('when many ask for a port at once, then each gets another one', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort));
    expect(new Set(ports).size).toBe(50);
  });
});
