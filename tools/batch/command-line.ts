import { randomUUID } from 'node:crypto';
import { basename, extname } from 'node:path';
import { operations } from '../../src/batch-operations/index.js';
import { CSV_DELIMITERS, itemsPerChunk, MAX_ITEMS_PER_CHUNK } from '../../src/schemas/batch.js';
import { businessId } from '../../src/schemas/shared/primitives.js';
import { parseArguments, UsageError } from '../terminal/command-line.js';

/** The arguments of `npm run batch`. */
export interface BatchCommand {
  filePath: string;
  contentType: string;
  /** Whether the file is a gzip file. */
  isCompressed: boolean;
  /** The name of the separator of a CSV file. Default: comma. */
  delimiter: string | undefined;
  operation: string;
  batchId: string;
  /** Default: the `itemsPerChunk` of the operation. */
  itemsPerChunk: number | undefined;
  /** Default: the API of the running stack. */
  apiUrl: string | undefined;
}

const contentTypes = new Map([
  ['.ndjson', 'application/x-ndjson'],
  ['.jsonl', 'application/x-ndjson'],
  ['.csv', 'text/csv'],
]);
const operationNames = [...operations.keys()];
const delimiterNames = Object.keys(CSV_DELIMITERS);

export const usage = `Usage: npm run batch -- <file> [options]

Uploads a file of items to the running stack and shows progress until the batch has ended.

  <file>                the items: ${[...contentTypes.keys()].join(', ')}; a .csv starts with a line of names;
                        the file may be compressed (.gz)
  --operation <name>    ${operationNames.join(', ')}; default: the operation at the start of the file name
  --id <batchId>        the same file with the same id is the same batch; default: a new id
  --delimiter <name>    separator of a .csv: ${delimiterNames.join(', ')}; default: comma
  --items-per-chunk <n> items per chunk, 1 to ${MAX_ITEMS_PER_CHUNK}; default: depends on the operation
  --api <url>           URL of the API; default: the API of "npm start". Reads the key from API_KEY
  --help

Exit code: 0 completed, 1 error, 2 completed with failures, 130 ended by Ctrl-C.`;

/** Parses the arguments of `npm run batch`. @throws UsageError, or an Error that contains the invalid value. */
export function readCommandLine(args: string[]): BatchCommand | 'help' {
  const { values, positionals } = parseArguments({
    args,
    allowPositionals: true,
    options: {
      operation: { type: 'string' },
      id: { type: 'string' },
      delimiter: { type: 'string' },
      'items-per-chunk': { type: 'string' },
      api: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return 'help';
  const [file, ...others] = positionals;
  if (!file) throw new UsageError('missing argument: <file>');
  if (others.length > 0) throw new UsageError(`only one file is allowed: ${positionals.join(', ')}`);
  const isCompressed = extname(file).toLowerCase() === '.gz';
  const contentType = detectContentType(isCompressed ? file.slice(0, -'.gz'.length) : file);
  const operation = resolveOperation(file, values.operation);
  return {
    filePath: file,
    contentType,
    isCompressed,
    delimiter: values.delimiter === undefined ? undefined : parseDelimiter(values.delimiter, contentType),
    operation,
    batchId: parseBatchId(values.id ?? `${operation}-${randomUUID().slice(0, 8)}`),
    itemsPerChunk: values['items-per-chunk'] === undefined ? undefined : parseItemsPerChunk(values['items-per-chunk']),
    apiUrl: values.api === undefined ? undefined : parseApiUrl(values.api),
  };
}

function detectContentType(file: string): string {
  const extension = extname(file).toLowerCase();
  const contentType = contentTypes.get(extension);
  if (contentType) return contentType;
  throw new Error(`${file} has an unknown format: its name must end with ${[...contentTypes.keys()].join(', ')}.`);
}

function resolveOperation(file: string, requested: string | undefined): string {
  const given = basename(file);
  const name =
    requested ?? operationNames.filter((name) => given.startsWith(name)).sort((a, b) => b.length - a.length)[0];
  if (name !== undefined && operations.has(name)) return name;
  const wrong =
    name === undefined ? `The name of ${given} does not start with an operation.` : `There is no operation ${name}.`;
  throw new Error(`${wrong} Set --operation to one of: ${operationNames.join(', ')}`);
}

function parseBatchId(value: string): string {
  const { success, error } = businessId.safeParse(value);
  if (success) return value;
  throw new Error(`--id ${value}: ${error.issues.map(({ message }) => message).join('; ')}`);
}

function parseDelimiter(value: string, contentType: string): string {
  if (contentType !== 'text/csv') throw new Error(`--delimiter ${value}: is allowed only for .csv files`);
  if (delimiterNames.includes(value)) return value;
  throw new Error(`--delimiter ${value}: must be one of ${delimiterNames.join(', ')}`);
}

function parseItemsPerChunk(value: string): number {
  const { success, data } = itemsPerChunk.safeParse(value);
  if (success) return data;
  throw new Error(`--items-per-chunk ${value}: must be an integer from 1 to ${MAX_ITEMS_PER_CHUNK}`);
}

function parseApiUrl(value: string): string {
  if (/^https?:\/\//.test(value) && URL.canParse(value)) return value.replace(/\/+$/, '');
  throw new Error(`--api ${value}: must be a URL like http://127.0.0.1:3000`);
}
