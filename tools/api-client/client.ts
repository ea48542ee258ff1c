import createClient, { type Client } from 'openapi-fetch';
import { apiKeyHeaders } from '../stack/api-key-headers.js';
import type { components, paths } from './schema.js';

/** The request and response types of the API, by their names in `openapi.json`. */
export type Schemas = components['schemas'];

export type ApiClient = Client<paths>;

/**
 * A client of the API, with the key in `API_KEY` if it is set. Calls `tell` with each response. Sends requests to the
 * API processes in turn.
 */
export function connectApi(
  [baseUrl, ...others]: readonly [string, ...string[]],
  tell?: (request: Request, response: Response) => void,
): ApiClient {
  let turn = 0;
  const inTurn = (request: Request) => {
    const other = [undefined, ...others][turn++ % (others.length + 1)];
    return fetch(other === undefined ? request : new Request(request.url.replace(baseUrl, other), request));
  };
  const client = createClient<paths>({ baseUrl, headers: apiKeyHeaders(), fetch: inTurn });
  if (tell) client.use({ onResponse: ({ request, response }) => tell(request, response) });
  return client;
}
