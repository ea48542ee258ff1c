import type { Api } from './api.js';

/** The header that browsers send with a form of the page itself. */
export const FROM_OWN_PAGE = { 'sec-fetch-site': 'same-origin' };

/** Sends the sign-in form of the console. */
export const signInToConsole = (
  apiUrl: string,
  form: { key: string; next?: string },
  headers: Record<string, string> = FROM_OWN_PAGE,
): Promise<Response> =>
  fetch(`${apiUrl}/console/sign-in`, {
    method: 'POST',
    body: new URLSearchParams(form),
    headers,
    redirect: 'manual',
  });

/** The session cookie that a response sets, as browsers send the cookie; empty if the response sets none. */
export const sessionCookieOf = ({ headers }: Response): string => (headers.get('set-cookie') ?? '').split(';')[0]!;

/** Requests with the cookies of one browser. Does not follow redirects. */
export interface BrowserSession {
  open: (url: string) => Promise<Response>;
  /** Sends a form from a page of the same origin. */
  send: (url: string, form: Record<string, string>) => Promise<Response>;
}

/** Keeps cookies by host and port, unlike a real browser, which shares the cookies of all ports of a host. */
export function createBrowserSession(): BrowserSession {
  const cookies = new Map<string, Map<string, string>>();

  async function request(url: string, init: RequestInit): Promise<Response> {
    const { host } = new URL(url);
    const jar = cookies.get(host) ?? new Map<string, string>();
    cookies.set(host, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/Max-Age=0|expires=Thu, 01 Jan 1970/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  return {
    open: (url) => request(url, {}),
    send: (url, form) => request(url, { method: 'POST', body: new URLSearchParams(form), headers: FROM_OWN_PAGE }),
  };
}

interface ProviderSignIn {
  browser: BrowserSession;
  api: Pick<Api, 'url'>;
  login: string;
  next?: string;
}

/** Signs in on the pages of the identity provider. Returns the URL of the API to which the provider redirects. */
export async function signInAtProvider({ browser, api, login, next = '/console' }: ProviderSignIn): Promise<string> {
  let url = `${api.url}/console/sign-in/provider?next=${encodeURIComponent(next)}`;
  let response = await browser.open(url);
  for (let step = 0; step < 10; step += 1) {
    const location = response.headers.get('location');
    if (location === null) {
      const page = await response.text();
      const action = /action="([^"]+)"/.exec(page)?.[1];
      const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
      if (action === undefined || prompt === undefined) throw new Error(`unexpected page of the provider: ${page}`);
      response = await browser.send(new URL(action, url).href, { prompt, login, password: 'any' });
      continue;
    }
    url = new URL(location, url).href;
    if (url.startsWith(api.url)) return url;
    response = await browser.open(url);
  }
  throw new Error('the provider did not redirect to the API');
}
