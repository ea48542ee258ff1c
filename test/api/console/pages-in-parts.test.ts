import Fastify from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { sendConsolePageInParts } from '../../../src/api/console/layout.js';
import { ANONYMOUS } from '../../../src/api/http/caller.js';

const app = Fastify({ handlerTimeout: 30_000 });
afterEach(() => app.close());

test('a page that fails after its first part ends with the failure and the rest of the layout', async () => {
  app.decorateRequest('caller', { getter: () => ANONYMOUS });
  app.get('/', (request, reply) =>
    sendConsolePageInParts(
      request,
      reply,
      { title: 'Slow', content: '<p>start</p>' },
      {
        async writeRest(write) {
          write('<p>first</p>');
          throw new Error('a secret');
        },
        failureHtml: '<p>failure</p>',
      },
    ),
  );

  const { statusCode, body } = await app.inject('/');

  expect(statusCode).toBe(200);
  expect(body).toMatch(
    /^<!doctype html>.*<p>start<\/p><p>first<\/p><p>failure<\/p><\/main>\s*<\/body>\s*<\/html>\s*$/s,
  );
  expect(body).not.toContain('a secret');
});
