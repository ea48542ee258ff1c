import createClient, { type Client } from 'openapi-fetch';
import { credentials } from '../credentials.js';
import type { components, paths } from './schema.js';

/** What the API takes and answers, by the names in `openapi.json`. */
export type Schemas = components['schemas'];

export type ApiClient = Client<paths>;

/**
 * A client of the API, with the key in `API_KEY` if there is one; `tell` hears of each answer. Of several API processes,
 * which are one API, each gets a request in turn.
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
  const client = createClient<paths>({ baseUrl, headers: credentials(), fetch: inTurn });
  if (tell) client.use({ onResponse: ({ request, response }) => tell(request, response) });
  return client;
}
