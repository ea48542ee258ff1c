import html from 'html-template-tag';
import type { InputProblem } from '../../../schemas/shared/input-problems.js';
import type { Caller } from '../../http/caller.js';
import { noticeHtml, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { inputsHtml, problemSummaryHtml } from '../forms/html.js';
import type { FormValues } from '../forms/values.js';
import { START_FORMS, type StartForm } from './forms.js';

export const START_PATH = `${CONSOLE_PATH}/start`;

export const mayStart = ({ access }: StartForm, { roles }: Caller): boolean =>
  access.some((role) => roles.includes(role));

export function startContent(caller: Caller): string {
  const cards = START_FORMS.filter((form) => mayStart(form, caller)).map(({ name, title, description }) =>
    cardHtml(`${START_PATH}/${name}`, title, description),
  );
  if (caller.roles.includes('operator')) {
    const description = 'Uploads items as NDJSON or CSV, and applies an operation to each of them.';
    cards.push(cardHtml(`${CONSOLE_PATH}/batches`, 'Upload a batch', description));
  }
  return html`<h1>Start something</h1>
    <p>Each form is filled with an example and shows the request that it sends to the API.</p>
    <ul class="cards">
      $${cards.join('')}
    </ul>`;
}

const cardHtml = (path: string, title: string, description: string) =>
  html`<li class="card">
    <h2><a href="$${urlHtml(path)}">${title}</a></h2>
    <p>${description}</p>
  </li>`;

export interface FormPage {
  form: StartForm;
  formId: string;
  values: FormValues;
  curl: string;
  problems?: readonly InputProblem[];
  /** Why the API rejected the request. */
  rejection?: string | undefined;
}

export function formContent({ form, formId, values, curl, problems = [], rejection }: FormPage): string {
  const path = `${START_PATH}/${form.name}`;
  const state = { field: form.field, values, problems, path };
  const rejectionHtml =
    rejection === undefined ? '' : noticeHtml('bad', html`<p>Nothing was started: ${rejection}.</p>`, { alert: true });
  return html`<h1>${form.title}</h1>
    <p>${form.description}</p>
    $${rejectionHtml}$${problemSummaryHtml(state)}
    <form class="wide" method="post" action="$${urlHtml(path)}" novalidate data-curl="$${urlHtml(`${path}/curl`)}">
      <input type="hidden" name="_form" value="${formId}" />
      <button class="hidden" tabindex="-1" aria-hidden="true">${form.button}</button>
      $${inputsHtml(state)}
      <button class="primary">${form.button}</button>
    </form>
    <h2>The same request with curl</h2>
    <pre tabindex="0" role="region" aria-label="curl command"><code id="curl">${curl}</code></pre>
    <script type="module" src="$${CONSOLE_PATH}/assets/curl-preview.js"></script>`;
}
