/** An operation of the API with its JSON body. */
export interface ApiRequest {
  /** The path with its encoded parameters. */
  path: string;
  body: unknown;
}

/** The command that sends the same request as a form. `needsKey` is false if the API runs without authentication. */
export function curlCommand(origin: string, { path, body }: ApiRequest, { needsKey }: { needsKey: boolean }): string {
  const json = JSON.stringify(body, undefined, 2);
  return [
    `curl -s -X POST ${shellQuote(origin + path)}`,
    ...(needsKey ? [`-H "X-API-Key: $API_KEY"`] : []),
    `-H 'content-type: application/json'`,
    `-d ${shellQuote(json)}`,
  ].join(' \\\n  ');
}

const shellQuote = (text: string): string =>
  /^[\w:/.@-]+$/.test(text) ? text : `'${text.replaceAll(`'`, String.raw`'\''`)}'`;
