import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import formbody from '@fastify/formbody';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { createLiveStreams } from '../../src/api/console/live-streams.js';
import { ANONYMOUS } from '../../src/api/http/caller.js';
import { assertFromOwnPage } from '../../src/api/http/request-origin.js';
import { HttpProblem } from '../../src/api/problems/http-problem.js';
import { isLoopback } from '../../src/http-client/addresses.js';
import { KILLABLE_PROCESSES } from '../stack/kill-process.js';
import { BREAK_IT_PATH, errorContentHtml, pageContentHtml, pageHtml } from './pages.js';
import { ORDER_COUNTS } from './scene.js';
import { ActionRejected, createBreakIt } from './state.js';
import type { ControlledFakes } from './switches.js';

/** Allows resources only from the same origin, and no inline code. */
const PAGE_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

const CONSOLE_ASSETS = fileURLToPath(new URL('../../src/api/console/assets/', import.meta.url));
const ASSETS: Record<string, string> = {
  'console.css': join(CONSOLE_ASSETS, 'console.css'),
  'console.js': join(CONSOLE_ASSETS, 'console.js'),
  'idiomorph.js': fileURLToPath(import.meta.resolve('idiomorph')),
};

const killParams = z.object({ process: z.enum(KILLABLE_PROCESSES) });
const switchParams = z.object({ name: z.string(), direction: z.enum(['on', 'off']) });
const gatewayForm = z.object({ answers: z.string() });
const sceneForm = z.object({
  orders: z.coerce.number().pipe(z.literal(ORDER_COUNTS)),
  kill: z.enum(KILLABLE_PROCESSES),
});

interface BreakItOptions {
  fakes: ControlledFakes;
  /** The data folder of the stack whose processes the page kills. */
  stackDir: string;
}

/**
 * The page that breaks the development stack on purpose. Only for loopback: it rejects other host names, so that a web
 * page cannot reach it through a DNS name of its own.
 */
export async function breakItPages(app: FastifyInstance, { fakes, stackDir }: BreakItOptions): Promise<void> {
  const breakIt = createBreakIt(fakes, stackDir);
  const closing = new AbortController();
  const liveStreams = createLiveStreams(closing.signal);
  const redirectToPage = (reply: FastifyReply) => reply.headers(PAGE_HEADERS).redirect(BREAK_IT_PATH, 303);
  const readContent = async () => pageContentHtml(await breakIt.read());

  app.addHook('preClose', async () => closing.abort());
  app.removeAllContentTypeParsers();
  await app.register(formbody);
  await app.register(fastifyStatic, { serve: false, maxAge: 0 });
  app.setErrorHandler(sendErrorPage);
  app.addHook('onRequest', async (request) => {
    if (!isLoopback(request.hostname))
      throw new HttpProblem('forbidden', { detail: 'this page is available only on a loopback address' });
    if (request.method !== 'GET' && request.method !== 'HEAD') assertFromOwnPage(request);
  });

  app.get('', async (_request, reply) => sendPage(reply, 200, await readContent()));

  // The streams of all tabs count together, because nobody signs in.
  app.get('/live', async (_request, reply) =>
    liveStreams.send({ caller: ANONYMOUS } as FastifyRequest, reply, {
      key: 'break-it',
      read: readContent,
      first: await readContent(),
      render: (content) => content,
    }),
  );

  app.get<{ Params: { name: string } }>('/assets/:name', async ({ params: { name } }, reply) => {
    const file = ASSETS[name];
    return file === undefined ? reply.callNotFound() : reply.sendFile(basename(file), dirname(file));
  });

  app.post('/kill/:process', async ({ params }, reply) => {
    await breakIt.kill(killParams.parse(params).process);
    return redirectToPage(reply);
  });

  app.post('/switches/:name/:direction', async ({ params }, reply) => {
    const { name, direction } = switchParams.parse(params);
    breakIt.turn(name, direction);
    return redirectToPage(reply);
  });

  app.post('/gateway-answers', async ({ body }, reply) => {
    breakIt.chooseGatewayAnswers(gatewayForm.parse(body).answers);
    return redirectToPage(reply);
  });

  app.post('/foreign-report', async (_request, reply) => {
    await breakIt.reportForeignParcel();
    return redirectToPage(reply);
  });

  app.post('/scene', async ({ body }, reply) => {
    const { orders, kill } = sceneForm.parse(body);
    await breakIt.startScene(orders, kill);
    return redirectToPage(reply);
  });
}

function sendErrorPage(error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, message } = describeError(error);
  if (status >= 500) request.log.error(error);
  return sendPage(reply, status, errorContentHtml(message));
}

function describeError(error: Error): { status: number; message: string } {
  if (error instanceof HttpProblem) return { status: error.status, message: error.message };
  if (error instanceof ActionRejected) return { status: 409, message: error.message };
  if (error instanceof z.ZodError) return { status: 400, message: z.prettifyError(error) };
  return { status: 500, message: error.message };
}

const sendPage = (reply: FastifyReply, status: number, content: string): FastifyReply =>
  reply
    .code(status)
    .headers(PAGE_HEADERS)
    .type('text/html; charset=utf-8')
    .send(pageHtml(content, { isLive: status === 200 }));
