import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { EventEmitter, getEventListeners, once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import {
  createServer as createTcpServer,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
  type AddressInfo,
  type Socket,
} from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  createOutgoingHttpClient,
  ForbiddenUrlError,
  type OutgoingHttpClientOptions,
} from '../../src/http-client/outgoing-http-client.js';

/** A public address in an unassigned range of IPv6, so connections to this address never succeed. */
const PUBLIC_ADDRESS = '2d00::1';

const REDIRECT_STATUSES = [301, 302, 303, 307, 308];

/**
 * Creates an HTTP client with production settings, unless a test overrides them. The client is closed after the test.
 */
function createTestHttpClient(options: Partial<OutgoingHttpClientOptions> = {}) {
  const outgoing = createOutgoingHttpClient({ allowedHosts: [], allowPrivateAddresses: false, ...options });
  onTestFinished(() => outgoing.close());
  return outgoing;
}

/** Creates a resolver. Call n returns list n; later calls return the last list. */
function createFakeLookup(...responses: string[][]) {
  const askedHosts: string[] = [];
  return {
    askedHosts,
    lookup: async (hostname: string) => {
      askedHosts.push(hostname);
      const addresses = responses[Math.min(askedHosts.length, responses.length) - 1] ?? [];
      return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    },
  };
}

/** Starts a server on loopback that records its requests and connections. */
async function startServer(listener: RequestListener = (_request, response) => response.writeHead(204).end()) {
  const requests: IncomingMessage[] = [];
  const sockets: Socket[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  server.on('connection', (socket) => sockets.push(socket));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { requests, sockets, server, port, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/hook?of=shop` };
}

/** Returns a signal that aborts on the first connection attempt, and the list of all attempted addresses. */
function abortOnConnect() {
  const stop = new AbortController();
  const attempts: string[] = [];
  const onSocket = (message: unknown) => {
    (message as { socket: Socket }).socket.on('connectionAttempt', (ip: string) => {
      attempts.push(ip);
      // Aborts later, because the socket is still handling the attempt.
      setImmediate(() => stop.abort(new Error('seen enough')));
    });
  };
  subscribe('net.client.socket', onSocket);
  onTestFinished(() => void unsubscribe('net.client.socket', onSocket));
  return { attempts, signal: stop.signal };
}

const requestOptions = { headers: { 'content-type': 'text/plain' }, body: 'hello', timeoutMs: 10_000 };

describe('findUrlProblem', () => {
  test.each([
    'http://127.0.0.1/',
    'http://127.8.9.10/',
    'http://127.1/',
    'http://127.0.0.1./',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0x7f.0.0.1/',
    'http://0177.0.0.1/',
    'http://017700000001/',
    'http://１２７.0.0.1/',
    'http://10.0.0.1/',
    'http://172.16.0.1/',
    'http://172.31.255.255/',
    'http://192.168.1.1/',
    'http://169.254.1.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://100.64.0.1/',
    'http://100.100.100.200/',
    'http://0.0.0.0/',
    'http://0/',
    'http://192.0.0.192/',
    'http://192.0.2.1/',
    'http://198.18.0.1/',
    'http://224.0.0.1/',
    'http://240.0.0.1/',
    'http://255.255.255.255/',
    'http://[::]/',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[fc00::1]/',
    'http://[fd00:ec2::254]/',
    'http://[fe80::1]/',
    'http://[fec0::1]/',
    'http://[ff02::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::ffff:8.8.8.8]/',
    'http://[::127.0.0.1]/',
    'http://[::ffff:0:127.0.0.1]/',
    'http://[64:ff9b::127.0.0.1]/',
    'http://[64:ff9b:1::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/',
    'http://[2001:db8::1]/',
    'http://[4000::1]/',
    'http://localhost/',
    'http://LOCALHOST:8080/',
    'http://localhost./',
    'http://localhost../',
    'http://shop.localhost/',
    'http://ⓛocalhost/',
  ])('rejects the non-public address %s', (url) => {
    expect(createTestHttpClient().findUrlProblem(url)).toBe('must be on a public address');
    expect(createTestHttpClient({ allowedHosts: [new URL(url).hostname] }).findUrlProblem(url)).toBe(
      'must be on a public address',
    );
    expect(createTestHttpClient({ allowPrivateAddresses: true }).findUrlProblem(url)).toBeUndefined();
  });

  test.each([
    'https://example.com/hook?a=b',
    'http://example.com:8080/',
    'https://example.com./',
    'https://notlocalhost/',
    'https://localhost.example.com/',
    'http://8.8.8.8/',
    'http://172.32.0.1/',
    'http://[2606:4700:4700::1111]/',
  ])('accepts %s', (url) => {
    expect(createTestHttpClient().findUrlProblem(url)).toBeUndefined();
  });

  test.each([
    'ftp://example.com/',
    'file:///etc/passwd',
    'gopher://example.com/',
    'data:,x',
    'example.com',
    '',
    'http://',
  ])('rejects "%s", which is not an http or https URL', (url) => {
    expect(createTestHttpClient({ allowPrivateAddresses: true }).findUrlProblem(url)).toBe(
      'must be an http or https URL',
    );
  });

  test.each(['http://allowed@127.0.0.1/', 'https://user:pw@example.com/', 'https://:pw@example.com/'])(
    'rejects a URL with credentials: %s',
    (url) => {
      expect(createTestHttpClient({ allowPrivateAddresses: true }).findUrlProblem(url)).toBe(
        'must not contain a user name or a password',
      );
    },
  );

  test.each([
    ['example.com', 'https://example.com/'],
    ['example.com', 'http://EXAMPLE.com:8080/'],
    ['example.com', 'https://example.com./'],
    ['Example.com.', 'https://example.com/'],
    ['bücher.example', 'https://xn--bcher-kva.example/'],
    ['*.example.com', 'https://a.example.com/'],
    ['*.example.com', 'https://a.b.example.com/'],
    ['example.com:443', 'https://example.com/'],
    ['example.com:80', 'http://example.com/'],
    ['*.example.com:8443', 'https://a.example.com:8443/'],
    ['8.8.8.8', 'http://8.8.8.8/'],
    ['[2606:4700:4700::1111]:8080', 'http://[2606:4700:4700:0::1111]:8080/'],
  ])('when %s is allowed, accepts %s', (entry, url) => {
    expect(createTestHttpClient({ allowedHosts: ['other.example', entry] }).findUrlProblem(url)).toBeUndefined();
  });

  test.each([
    ['example.com', 'https://a.example.com/'],
    ['example.com', 'https://evilexample.com/'],
    ['example.com', 'https://example.com.evil.org/'],
    ['example.com', 'https://evil.org/example.com'],
    ['*.example.com', 'https://example.com/'],
    ['*.example.com', 'https://evilexample.com/'],
    ['*.example.com', 'https://example.com.evil.org/'],
    ['*.example.com', 'https://a.example.com.evil.org/'],
    ['example.com:443', 'https://example.com:8443/'],
    ['example.com:443', 'http://example.com/'],
    ['example.com', 'http://8.8.8.8/'],
  ])('when only %s is allowed, rejects %s', (entry, url) => {
    expect(createTestHttpClient({ allowedHosts: [entry] }).findUrlProblem(url)).toBe('must be on an allowed host');
  });

  test.each(['https://example.com', 'example.com/path', '*', '*.', 'a.*.com', 'user@example.com', 'example.com:', ''])(
    'createOutgoingHttpClient rejects the invalid allowlist entry "%s"',
    (entry) => {
      expect(() => createOutgoingHttpClient({ allowedHosts: [entry], allowPrivateAddresses: false })).toThrow(
        `"${entry}" is not a host`,
      );
    },
  );
});

describe('post', () => {
  test('sends headers and body, and returns the status of the response', async () => {
    const bodies: string[] = [];
    const { url, requests } = await startServer((request, response) => {
      request.setEncoding('utf8').on('data', (chunk: string) => bodies.push(chunk));
      request.on('end', () => response.writeHead(202).end('thanks'));
    });

    expect(await createTestHttpClient({ allowPrivateAddresses: true }).post(url, requestOptions)).toEqual({
      status: 202,
    });
    expect(requests).toMatchObject([{ method: 'POST', url: '/hook?of=shop', headers: requestOptions.headers }]);
    expect(bodies).toEqual(['hello']);
  });

  test('opens no connection if the URL contains a private address', async () => {
    const { url, sockets } = await startServer();

    await expect(createTestHttpClient().post(url, requestOptions)).rejects.toThrow(ForbiddenUrlError);
    expect(sockets).toEqual([]);
  });

  test.each([
    ['loopback', ['127.0.0.1']],
    ['private', ['10.0.0.1']],
    ['the metadata service', ['169.254.169.254']],
    ['IPv6 loopback', ['::1']],
    ['link-local with a zone', ['fe80::1%lo']],
    ['a mapped address', ['::ffff:127.0.0.1']],
    ['public and then loopback', [PUBLIC_ADDRESS, '127.0.0.1']],
    ['loopback and then public', ['127.0.0.1', PUBLIC_ADDRESS]],
  ])('opens no connection if the host name resolves to %s', async (_description, addresses) => {
    const { port, sockets } = await startServer();
    const { lookup, askedHosts } = createFakeLookup(addresses);
    const outgoing = createTestHttpClient({ lookup, allowedHosts: ['hooks.example.com'] });

    const error = await outgoing
      .post(`http://hooks.example.com:${port}/`, requestOptions)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ForbiddenUrlError);
    expect((error as Error).message).toBe('the host name resolves to an address that is not public');
    expect(askedHosts).toEqual(['hooks.example.com']);
    expect(sockets).toEqual([]);
  });

  test('opens no connection for an https URL whose host name resolves to loopback', async () => {
    const { port, sockets } = await startServer();
    const outgoing = createTestHttpClient(createFakeLookup(['127.0.0.1']));

    await expect(outgoing.post(`https://hooks.example.com:${port}/`, requestOptions)).rejects.toThrow(
      ForbiddenUrlError,
    );
    expect(sockets).toEqual([]);
  });

  test.each([true, false])('resolves the host name once if autoSelectFamily is %s', async (on) => {
    const before = getDefaultAutoSelectFamily();
    onTestFinished(() => setDefaultAutoSelectFamily(before));
    setDefaultAutoSelectFamily(on);
    const { port, requests } = await startServer();
    const { lookup, askedHosts } = createFakeLookup(['127.0.0.1']);

    await createTestHttpClient({ lookup, allowPrivateAddresses: true }).post(
      `http://hooks.example.com:${port}/`,
      requestOptions,
    );
    expect(requests).toMatchObject([{ headers: { host: `hooks.example.com:${port}` } }]);
    expect(askedHosts).toEqual(['hooks.example.com']);
  });

  test('connects to the checked address even if the DNS response changes after the check', async () => {
    const { port, sockets } = await startServer();
    const { lookup, askedHosts } = createFakeLookup([PUBLIC_ADDRESS], ['127.0.0.1']);
    const { attempts, signal } = abortOnConnect();

    const posted = createTestHttpClient({ lookup }).post(`http://hooks.example.com:${port}/`, {
      ...requestOptions,
      signal,
    });
    await expect(posted).rejects.toThrow('seen enough');
    expect(attempts).toEqual([PUBLIC_ADDRESS]);
    expect(askedHosts).toHaveLength(1);
    expect(sockets).toEqual([]);
  });

  test('resolves and checks the host name again on each call', async () => {
    const { port, sockets } = await startServer();
    const outgoing = createTestHttpClient(createFakeLookup([PUBLIC_ADDRESS], ['127.0.0.1']));
    const { attempts, signal } = abortOnConnect();
    const url = `http://hooks.example.com:${port}/`;

    await expect(outgoing.post(url, { ...requestOptions, signal })).rejects.toThrow('seen enough');
    await expect(outgoing.post(url, requestOptions)).rejects.toThrow(ForbiddenUrlError);
    expect(attempts).toEqual([PUBLIC_ADDRESS]);
    expect(sockets).toEqual([]);
  });

  test('does not reuse connections', async () => {
    const { url, sockets } = await startServer();
    const outgoing = createTestHttpClient({ allowPrivateAddresses: true });
    await outgoing.post(url, requestOptions);
    await outgoing.post(url, requestOptions);

    expect(sockets).toHaveLength(2);
    await vi.waitFor(() => expect(sockets.map((socket) => socket.destroyed)).toEqual([true, true]));
  });

  test.each(REDIRECT_STATUSES)('does not follow a redirect (%i)', async (status) => {
    const inside = await startServer();
    const fakes = await startServer((_request, response) => response.writeHead(status, { location: inside.url }).end());
    const outgoing = createTestHttpClient({ allowPrivateAddresses: true, allowedHosts: [fakes.host] });

    expect(await outgoing.post(fakes.url, requestOptions)).toEqual({ status });
    expect(fakes.requests).toHaveLength(1);
    expect(inside.sockets).toEqual([]);
  });

  test('stops reading an endless response body', async () => {
    const left = new EventEmitter();
    const { url } = await startServer((_request, response) => {
      response.on('close', () => left.emit('left'));
      const more = () => void response.write('x'.repeat(1_024), (error) => error ?? setImmediate(more));
      more();
    });
    const leaving = once(left, 'left');

    expect(await createTestHttpClient({ allowPrivateAddresses: true }).post(url, requestOptions)).toEqual({
      status: 200,
    });
    await leaving;
  });

  test('returns the status even if the response body does not end within the time limit', async () => {
    const { url } = await startServer((_request, response) => response.writeHead(200).write('x'));

    expect(
      await createTestHttpClient({ allowPrivateAddresses: true }).post(url, { ...requestOptions, timeoutMs: 200 }),
    ).toEqual({ status: 200 });
  });

  test('fails with TimeoutError if there is no response within the time limit', async () => {
    const left = new EventEmitter();
    const { url } = await startServer((_request, response) => void response.on('close', () => left.emit('left')));
    const leaving = once(left, 'left');

    const posted = createTestHttpClient({ allowPrivateAddresses: true }).post(url, {
      ...requestOptions,
      timeoutMs: 200,
    });
    await expect(posted).rejects.toMatchObject({ name: 'TimeoutError' });
    await leaving;
  });

  // If only AbortSignal.any refers to a timeout signal, Node 20 garbage-collects the signal and the timeout never
  // fires. A listener keeps the signal alive.
  test('keeps a listener on its timeout signal, so that the signal is not garbage-collected', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout');
    onTestFinished(() => timeout.mockRestore());
    const { url } = await startServer();
    await createTestHttpClient({ allowPrivateAddresses: true }).post(url, requestOptions);

    const [limit] = timeout.mock.results;
    expect(getEventListeners(limit?.value as AbortSignal, 'abort')).not.toEqual([]);
  });

  test('fails with TimeoutError if the host name is not resolved within the time limit', async () => {
    const outgoing = createTestHttpClient({ lookup: () => new Promise(() => undefined) });

    await expect(
      outgoing.post('http://hooks.example.com/', { ...requestOptions, timeoutMs: 50 }),
    ).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  test('ends immediately on abort during the TLS handshake', async () => {
    const stop = new AbortController();
    const silent = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => stop.abort(new Error('not any more')));
    });
    onTestFinished(() => void silent.close());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
    const left = once(silent, 'connection').then(([socket]) => once(socket as Socket, 'close'));

    const posted = createTestHttpClient({ allowPrivateAddresses: true }).post(url, {
      ...requestOptions,
      signal: stop.signal,
    });
    await expect(posted).rejects.toThrow('not any more');
    await left;
  });

  test("on abort, rejects with the reason of the caller's signal", async () => {
    const stop = new AbortController();
    const { url } = await startServer(() => stop.abort(new Error('not any more')));

    const posted = createTestHttpClient({ allowPrivateAddresses: true }).post(url, {
      ...requestOptions,
      signal: stop.signal,
    });
    await expect(posted).rejects.toThrow('not any more');
  });

  test('rejects open calls and later calls after the client is closed', async () => {
    const { url, sockets, server } = await startServer(() => undefined);
    const outgoing = createTestHttpClient({ allowPrivateAddresses: true });
    const arrived = once(server, 'request');
    const posted = outgoing.post(url, { ...requestOptions, signal: new AbortController().signal });
    posted.catch(() => undefined);
    await arrived;
    await outgoing.close();

    await expect(posted).rejects.toThrow('the HTTP client is closed');
    await expect(outgoing.post(url, requestOptions)).rejects.toThrow('the HTTP client is closed');
    expect(sockets).toHaveLength(1);
  });
});
