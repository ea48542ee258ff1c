import { inheritedEnvironment } from './settings/project.js';

/** The headers that authenticate with the API: the key in API_KEY, or none for an API without authentication. */
export function apiKeyHeaders(): Record<string, string> {
  const { API_KEY: key } = inheritedEnvironment();
  return key ? { 'x-api-key': key } : {};
}
