import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { invalidRequest } from '../../problems/http-problem.js';
import type { Submission } from './upload-route.js';

/** The form has four fields and one file. The upload service limits the size of the file. */
const LIMITS = { fields: 10, fieldSize: 1_000, files: 1, fileSize: Infinity };

/** Accepts `multipart/form-data`, which browsers send without JavaScript. */
export async function acceptMultipart(app: FastifyInstance): Promise<void> {
  await app.register(multipart, { limits: LIMITS, throwFileSizeLimit: false });
}

/** Reads the fields up to the file, which the caller reads as a stream. @throws 400 without a file. */
export async function readMultipartSubmission(request: FastifyRequest): Promise<Submission> {
  const part = await request.file();
  if (!part) throw invalidRequest([{ pointer: '/file', detail: 'is missing' }]);
  const fields = Object.entries(part.fields).flatMap(([name, field]) => {
    const value = field && 'value' in field ? field.value : undefined;
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  return { values: Object.fromEntries(fields), fileName: part.filename, file: part.file };
}
