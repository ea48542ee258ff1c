import html from 'html-template-tag';
import { renderPage } from '../http/html-layout.js';

const TITLE = 'Payloads in plain text';
const DESCRIPTION = 'While you are signed in, the Temporal Web UI shows in this browser what is stored encrypted.';

/** The page that asks for a key. */
export function signInPage({ problem }: { problem?: string } = {}): string {
  return renderPage(
    TITLE,
    html`<h1>${TITLE}</h1>
      <p>${DESCRIPTION}</p>
      $${problem === undefined ? '' : html`<div class="box problem" role="alert"><p>${problem}</p></div>`}
      <form method="post" action="session">
        <label for="key">Your key <span>(or token), of somebody with the role inspector</span></label>
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
      <p>${DESCRIPTION} It ends after ${String(minutes)} minutes, or with your token.</p>
      <p>
        Once in each browser, the Web UI has to be told to send what you have just got: its glasses (top right) open the
        settings of its codec. Choose those of your browser, with the address of this page up to <code>/codec</code>
        as the endpoint, and include credentials. Then reload it.
      </p>
      <form method="post" action="session">
        <input type="hidden" name="leave" value="yes" />
        <div class="buttons"><button class="reject">Sign out</button></div>
      </form>`,
  );
}

/** The page for any other error. */
export function errorPage({ title, requestId }: { title: string; requestId: string }): string {
  return renderPage(
    TITLE,
    html`<h1>${title}</h1>
      <p>Please go back and try again. If it stays like this, tell us this number: ${requestId}</p>`,
  );
}

/** The page of an API that runs open, where nobody has to sign in. */
export function signInNotNeededPage(): string {
  return renderPage(
    TITLE,
    html`<h1>${TITLE}</h1>
      <p>Nobody has to sign in here: this API runs open.</p>`,
  );
}
