import createClient, { type Client } from 'openapi-fetch';
import { apiKeyHeaders } from '../stack/running-stack.js';
// schema.d.ts contains only types. `npm run check` and `npm run openapi` generate the file from openapi.json.
import type { components, paths } from './schema.js';

/** The request and response types of the API, by their names in `openapi.json`. */
export type Schemas = components['schemas'];

export type ApiClient = Client<paths>;

/**
 * Creates a client of the API. Authenticates with the key in `API_KEY`, if set. Calls `onResponse` with each response.
 * Sends the requests in turn to the API processes at the given URLs.
 */
export function connectApi(
  [baseUrl, ...others]: readonly [string, ...string[]],
  onResponse?: (request: Request, response: Response) => void,
): ApiClient {
  let requestCount = 0;
  const fetchInTurn = (request: Request) => {
    const other = [undefined, ...others][requestCount++ % (others.length + 1)];
    return fetch(other === undefined ? request : new Request(request.url.replace(baseUrl, other), request));
  };
  const client = createClient<paths>({ baseUrl, headers: apiKeyHeaders(), fetch: fetchInTurn });
  if (onResponse) client.use({ onResponse: ({ request, response }) => onResponse(request, response) });
  return client;
}
