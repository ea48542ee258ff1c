import { inheritedEnvironment } from './settings.js';

/** The headers that say who we are to the API: the key in API_KEY, or none for an API that runs open. */
export function credentials(): Record<string, string> {
  const { API_KEY: key } = inheritedEnvironment();
  return key ? { 'x-api-key': key } : {};
}
