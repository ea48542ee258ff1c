import { parse } from 'secure-json-parse';
import { malformedRequest } from '../../problems/http-problem.js';
import { JsonTooDeeplyNested, parseJson, type ParsedJson } from './lossless-json.js';

/**
 * Parses a JSON body of limited depth. The value of an empty body is undefined.
 *
 * @throws 400 for a body that is not UTF-8 or not JSON, is nested too deeply or sets a prototype.
 */
export function parseJsonBytes(bytes: Buffer): ParsedJson {
  const text = decodeUtf8(bytes);
  if (text.trim() === '') return { value: undefined, losses: [] };
  try {
    return parseJson(text, (text) => parse(text, { protoAction: 'error', constructorAction: 'error' }) as unknown);
  } catch (error) {
    if (error instanceof JsonTooDeeplyNested) throw malformedRequest(`the body ${error.message}`);
    throw malformedRequest('the body is not valid JSON, or sets a prototype');
  }
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw malformedRequest('the body is not UTF-8');
  }
}
