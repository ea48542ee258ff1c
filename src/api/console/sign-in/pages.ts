import html from 'html-template-tag';
import type { Caller } from '../../http/caller.js';
import { badgeHtml, definitionsHtml, noticeHtml, queryString, timeHtml, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import type { ConsolePage } from '../layout.js';
import { ACCOUNT_PATH, PROVIDER_PATH, SIGN_IN_PATH } from './paths.js';

interface SignInPage {
  /** The page that the caller sees after the sign-in, relative to the console. */
  next?: string | undefined;
  /** The caller of the session, if there is one. */
  signedIn?: Caller | undefined;
  /** The identity provider that the page offers. */
  providerHost?: string | undefined;
  /** Why the last sign-in failed. */
  problem?: string | undefined;
  status?: number;
}

/** The page that asks for an API key or token, or leads to the identity provider. */
export function signInPage({ next, signedIn, providerHost, problem, status = 200 }: SignInPage): ConsolePage {
  const content = html`<div class="narrow">
    <h1>Sign in</h1>
    $${problem === undefined ? '' : noticeHtml('bad', html`<p>${problem}</p>`, { alert: true })}
    $${signedIn === undefined ? '' : signedInNotice(signedIn, next)}
    $${providerHost === undefined ? '' : providerLink(providerHost, next)}
    <form class="card" method="post" action="$${urlHtml(CONSOLE_PATH + SIGN_IN_PATH)}">
      <label>
        API key or token
        <span class="hint">The session ends after an hour, or when the token expires.</span>
        <input name="key" type="password" autocomplete="current-password" required />
      </label>
      <input type="hidden" name="next" value="${next === undefined ? '' : CONSOLE_PATH + next}" />
      <button class="${providerHost === undefined ? 'primary' : ''}">Sign in</button>
    </form>
  </div>`;
  return { title: 'Sign in', content, status };
}

function providerLink(host: string, next: string | undefined): string {
  const query = queryString({ next: next === undefined ? undefined : CONSOLE_PATH + next });
  const url = CONSOLE_PATH + SIGN_IN_PATH + PROVIDER_PATH + query;
  return html`<p><a class="button primary wide" href="$${urlHtml(url)}">Sign in with ${host}</a></p>
    <p class="quiet">Or with an API key:</p>`;
}

/** Says that a caller without a role cannot use the console. */
export const missingRoleProblem = ({ id, roles }: Caller): string | undefined =>
  roles.length === 0 ? `${id} has no role. Ask the administrators of the shop for a role.` : undefined;

function signedInNotice({ id }: Caller, next: string | undefined): string {
  const target = CONSOLE_PATH + (next ?? ACCOUNT_PATH);
  return noticeHtml('good', html`<p>Signed in as ${id}. <a href="$${urlHtml(target)}">Continue</a></p>`);
}

interface AccountPage {
  caller: Caller;
  /** The address of the codec, for callers who may decrypt payloads. */
  codecUrl?: string | undefined;
}

/** The page that shows who is signed in and with which roles. */
export function accountPage({ caller, codecUrl }: AccountPage): ConsolePage {
  const { id, roles, expiresAt } = caller;
  const endsAt = expiresAt === undefined ? undefined : new Date(expiresAt * 1_000).toISOString();
  const content = html`<h1>Signed in as ${id}</h1>
    $${definitionsHtml([
      ['Roles', roles.map((role) => badgeHtml(role, 'neutral')).join(' ')],
      ['Session ends', timeHtml(endsAt)],
    ])}
    $${codecUrl === undefined ? '' : codecSection(codecUrl)}`;
  return { title: 'Account', content };
}

/** The page of an API that does not authenticate callers. */
export const openAccountPage = (): ConsolePage => ({
  title: 'Account',
  content: html`<h1>Account</h1>
    <p>No sign-in is needed: this API runs without authentication.</p>`,
});

const codecSection = (codecUrl: string) =>
  html`<h2>Decrypted payloads</h2>
    <p>While you are signed in, the Temporal Web UI in this browser shows encrypted payloads in plain text.</p>
    <p>
      Configure the Web UI once in each browser. Click the glasses icon at the top right to open the codec server
      settings. Choose the browser setting, enter <code>${codecUrl}</code> as the endpoint, and include cross-origin
      credentials. Then reload the Web UI.
    </p>`;
