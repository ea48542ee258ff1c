import createClient, { type Client } from 'openapi-fetch';
import { apiKeyHeaders } from '../stack/running-stack.js';
// Generated from openapi.json by `npm run check` and `npm run openapi`. Only the type checker needs it.
import type { components, paths } from './schema.js';

/** The request and response types of the API, by their names in `openapi.json`. */
export type Schemas = components['schemas'];

export type ApiClient = Client<paths>;

/**
 * A client of the API, with the key in `API_KEY` if it is set. Calls `onResponse` with each response. Sends requests to
 * the API processes in turn.
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
