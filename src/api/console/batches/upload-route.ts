import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { batchId, batchUploadQuery, MAX_ITEMS_PER_CHUNK } from '../../../schemas/batch.js';
import type { Operation } from '../../../batch-operations/operation.js';
import type { ItemFormat } from '../../batches/upload/parse-items.js';
import { UPLOAD_TIMEOUT_MS } from '../../limits.js';
import { toProblem } from '../../problems/error-mapping.js';
import { invalidRequest } from '../../problems/http-problem.js';
import { withConsoleContract } from '../contract.js';
import { createInstructions, parseInputs } from '../forms/problems.js';
import { redirectWithinConsole, sendConsolePage } from '../layout.js';
import { emptyAsMissing, wholeNumber } from '../query.js';
import type { ConsolePageDependencies } from '../routes.js';
import { itemFieldsOf } from './item-fields.js';
import { acceptMultipart, readMultipartSubmission } from './multipart.js';
import { FILE_NAME_ENDINGS, UPLOAD_LABELS, uploadFormHtml, type UploadValues } from './upload-form.js';

const FILE_TYPE = 'application/octet-stream';

/** The fields beside the file. Empty fields mean the defaults. */
const uploadForm = z.object({
  operation: batchUploadQuery.shape.operation,
  batchId: emptyAsMissing(batchId),
  delimiter: emptyAsMissing(batchUploadQuery.shape.delimiter),
  itemsPerChunk: emptyAsMissing(wholeNumber(MAX_ITEMS_PER_CHUNK).optional()),
}) as z.ZodType<z.infer<typeof batchUploadQuery> & { batchId: string }>;

/** The values of a new form. The id makes a repeated submission of the form harmless. */
export const newUploadValues = (): UploadValues => ({ batchId: `batch-${randomUUID().slice(0, 13)}` });

/** The file of a submitted form, which is read as a stream, and the other fields. */
export interface Submission {
  values: UploadValues;
  fileName: string;
  file: Readable;
}

/** Uploads the file of the form. With JavaScript, the browser sends the file as the body, and shows the progress. */
export async function uploadRoute(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  const { batches, batchOperations } = deps;
  app.removeAllContentTypeParsers();
  await acceptMultipart(app);
  app.addContentTypeParser(FILE_TYPE, async (_request: FastifyRequest, payload: Readable) => payload);

  const contract = withConsoleContract({
    operationId: 'uploadInConsole',
    summary: 'Upload a file and start a batch',
    access: ['operator'],
  });
  app.post(
    '',
    { handlerTimeout: UPLOAD_TIMEOUT_MS, config: { ...contract.config, isUpload: true } },
    async (request, reply) => {
      const isMultipart = request.isMultipart();
      const { values, fileName, file } = isMultipart
        ? await readMultipartSubmission(request)
        : readRawSubmission(request);
      try {
        const { batchId, delimiter, ...options } = parseValues(values);
        const format = formatOf(fileName);
        await batches.uploadBatch({
          batchId,
          // The form always has a separator, but only CSV uses it.
          options: { ...options, ...(format === 'csv' && { delimiter }) },
          format,
          body: file,
          request,
          problemTexts: textsOf(batchOperations.get(options.operation)),
        });
        return redirectWithinConsole(reply, `/batches/${batchId}`);
      } catch (error) {
        // Without a reader, the rest of the file would block the request, and the browser would not get the response.
        if (isMultipart) file.resume();
        const problem = toProblem(error);
        if (problem.status >= 500 && problem.status !== 503) throw error;
        const operations = [...batchOperations.values()];
        const content = `<h1>Upload a file</h1>${uploadFormHtml({ operations, values, problem })}`;
        reply.headers(problem.headers);
        return sendConsolePage(request, reply, {
          title: 'Upload a file',
          section: 'batches',
          status: problem.status,
          content,
        });
      }
    },
  );
}

/** @throws 400 with what to enter. */
function parseValues(values: UploadValues): z.infer<typeof uploadForm> {
  const { data, problems } = parseInputs(uploadForm, values, ([name]) => ({
    label: UPLOAD_LABELS[String(name)] ?? String(name),
  }));
  if (problems) throw invalidRequest([...problems]);
  return data;
}

function readRawSubmission({ query, body }: FastifyRequest): Submission {
  const { fileName = '', ...values } = query as UploadValues & { fileName?: string };
  return { values, fileName, file: body as Readable };
}

/** The texts of the problems of items. They name a field as the column of a CSV file. */
function textsOf(operation: Operation | undefined) {
  const fields = new Map(operation && itemFieldsOf(operation).map((field) => [field.name, field]));
  return createInstructions((path) => {
    const name = path.join('.');
    const { minimum, maximum } = fields.get(name) ?? {};
    return { label: name, ...(minimum !== undefined && { minimum }), ...(maximum !== undefined && { maximum }) };
  });
}

/** @throws 400. */
function formatOf(fileName: string): ItemFormat {
  for (const [format, endings] of Object.entries(FILE_NAME_ENDINGS))
    if (endings.some((ending) => fileName.toLowerCase().endsWith(ending))) return format as ItemFormat;
  const endings = Object.values(FILE_NAME_ENDINGS).flat().join(', ');
  const detail = `the name must end with one of ${endings}, but is ${JSON.stringify(fileName)}`;
  throw invalidRequest([{ pointer: '/file', detail }]);
}
