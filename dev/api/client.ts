import createClient, { type Client } from 'openapi-fetch';
import { credentials } from '../credentials.js';
import type { components, paths } from './schema.js';

/** What the API takes and answers, by the names in `openapi.json`. */
export type Schemas = components['schemas'];

export type ApiClient = Client<paths>;

/** A client of the API, with the key in `API_KEY` if there is one; `tell` hears of each answer. */
export function connectApi(baseUrl: string, tell?: (request: Request, response: Response) => void): ApiClient {
  const client = createClient<paths>({ baseUrl, headers: credentials() });
  if (tell) client.use({ onResponse: ({ request, response }) => tell(request, response) });
  return client;
}
