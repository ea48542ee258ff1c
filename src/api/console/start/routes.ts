import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { InputProblem } from '../../../schemas/shared/input-problems.js';
import { ANONYMOUS } from '../../http/caller.js';
import { originOf } from '../../http/request-origin.js';
import { HttpProblem } from '../../problems/http-problem.js';
import { withConsoleContract } from '../contract.js';
import { readSubmittedForm } from '../forms/rows.js';
import { parseForm, toFormValues, type FormValues } from '../forms/values.js';
import { redirectWithinConsole, sendConsolePage } from '../layout.js';
import type { ConsolePageDependencies } from '../routes.js';
import { curlCommand } from './curl.js';
import { START_FORMS, type StartForm } from './forms.js';
import { formContent, startContent, type FormPage } from './pages.js';

/** Forms that start a workflow, made from the schemas of the API. */
export async function startPages(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  app.get(
    '',
    withConsoleContract({
      operationId: 'openStart',
      summary: 'Choose what to start',
      access: ['operator', 'shopper', 'approver'],
    }),
    async (request, reply) =>
      sendConsolePage(request, reply, { title: 'Start', section: 'start', content: startContent(request.caller) }),
  );
  for (const form of START_FORMS) formRoutes(app, form, deps);
}

function formRoutes(app: FastifyInstance, form: StartForm, deps: ConsolePageDependencies): void {
  const { name, title, access, field, schema } = form;

  app.get(
    `/${name}`,
    withConsoleContract({ operationId: `openStartForm_${name}`, summary: title, access }),
    async (request, reply) => {
      const values = toFormValues(field, form.exampleFor(request.caller));
      return sendForm(request, reply, { form, formId: randomUUID(), values });
    },
  );

  app.post(
    `/${name}`,
    withConsoleContract({ operationId: `start_${name}`, summary: title, access }),
    async (request, reply) => {
      const { values, isRowChange } = readSubmittedForm(field, request.body);
      const page = { form, formId: formIdOf(values), values };
      if (isRowChange) {
        request.changesState = false;
        return sendForm(request, reply, page);
      }
      const { data, problems } = parseForm(schema, field, values);
      if (problems) return sendForm(request, reply, { ...page, problems, status: 400 });
      try {
        const path = await form.start(data, { deps, caller: request.caller, formId: page.formId });
        return redirectWithinConsole(reply, path);
      } catch (error) {
        if (!(error instanceof HttpProblem) || error.status >= 500) throw error;
        const problems = error.options.extensions?.errors as InputProblem[] | undefined;
        const rejection = problems ? undefined : error.message;
        return sendForm(request, reply, { ...page, problems: problems ?? [], rejection, status: error.status });
      }
    },
  );

  app.post(
    `/${name}/curl`,
    withConsoleContract({
      operationId: `previewStart_${name}`,
      summary: `Show the request of "${title}"`,
      access,
      changesState: false,
    }),
    async (request, reply) => {
      const { values } = readSubmittedForm(field, request.body);
      return reply
        .type('text/plain; charset=utf-8')
        .serializer(String)
        .send(curlOf(request, form, values));
    },
  );
}

/** The id of the submitted form. A form without a valid id gets a new one. */
const formIdOf = ({ _form: id = '' }: FormValues) => (/^[0-9a-f-]{36}$/.test(id) ? id : randomUUID());

function sendForm(
  request: FastifyRequest,
  reply: FastifyReply,
  { status = 200, ...page }: Omit<FormPage, 'curl'> & { status?: number },
): FastifyReply {
  const { form, values } = page;
  const content = formContent({ ...page, curl: curlOf(request, form, values) });
  return sendConsolePage(request, reply, { title: form.title, section: 'start', status, content });
}

function curlOf(request: FastifyRequest, form: StartForm, values: FormValues): string {
  const { json } = parseForm(form.schema, form.field, values);
  const sent = form.requestOf(json as Record<string, unknown>);
  return curlCommand(originOf(request), sent, { needsKey: request.caller !== ANONYMOUS });
}
