import html from 'html-template-tag';
import { renderPage } from '../http/html-layout.js';

const TITLE = 'Decrypted payloads';
const DESCRIPTION =
  'While you are signed in, the Temporal Web UI in this browser shows encrypted payloads in plain text.';

/** The page that asks for an API key or token. */
export function signInPage({ problem }: { problem?: string } = {}): string {
  return renderPage(
    TITLE,
    html`<h1>${TITLE}</h1>
      <p>${DESCRIPTION}</p>
      $${problem === undefined ? '' : html`<div class="box problem" role="alert"><p>${problem}</p></div>`}
      <form method="post" action="session">
        <label for="key">API key or token <span>(of a caller with the role inspector)</span></label>
        <input id="key" name="key" type="password" autocomplete="current-password" required />
        <div class="buttons"><button class="approve">Sign in</button></div>
      </form>`,
  );
}

/** The page that shows who is signed in, with a button to sign out. */
export function signedInPage({ caller, minutes }: { caller: string; minutes: number }): string {
  return renderPage(
    TITLE,
    html`<h1>${TITLE}</h1>
      <div class="box approved"><h2>Signed in as ${caller}</h2></div>
      <p>${DESCRIPTION} The session ends after ${String(minutes)} minutes, or when your token expires.</p>
      <p>
        Configure the Web UI once in each browser. Click the glasses icon at the top right to open the codec server
        settings. Choose the browser setting, enter the address of this page up to <code>/codec</code> as the endpoint,
        and include cross-origin credentials. Then reload the Web UI.
      </p>
      <form method="post" action="session">
        <input type="hidden" name="signOut" value="yes" />
        <div class="buttons"><button class="reject">Sign out</button></div>
      </form>`,
  );
}

/** The page for all errors except a failed sign-in. */
export function errorPage({ title, requestId }: { title: string; requestId: string }): string {
  return renderPage(
    TITLE,
    html`<h1>${title}</h1>
      <p>
        Please go back and try again. If the problem persists, contact the operators with this request id: ${requestId}
      </p>`,
  );
}

/** The page of an API that does not authenticate callers. */
export function signInNotNeededPage(): string {
  return renderPage(
    TITLE,
    html`<h1>${TITLE}</h1>
      <p>No sign-in is needed: this API runs without authentication.</p>`,
  );
}
