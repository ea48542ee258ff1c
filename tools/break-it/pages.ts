import html from 'html-template-tag';
import { badgeHtml, noticeHtml, optionsHtml, tableHtml, timeHtml, urlHtml } from '../../src/api/console/components.js';
import { RELOAD_HINT } from '../../src/api/console/layout.js';
import { PROCESS_LABELS } from '../stack/kill-process.js';
import { sceneHtml } from './scene-page.js';
import { isRunning, ORDER_COUNTS } from './scene.js';
import { NORMAL, type BreakItView, type LogEntry } from './state.js';

export const BREAK_IT_PATH = '/break-it';

/** The whole page. */
export const pageHtml = (content: string, { isLive }: { isLive: boolean }): string => {
  const live = isLive ? html` data-live="${BREAK_IT_PATH}/live"` : '';
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Break it · Shop</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="$${BREAK_IT_PATH}/assets/console.css" />
        <script type="module" src="$${BREAK_IT_PATH}/assets/console.js"></script>
      </head>
      <body>
        <a class="skip" href="#content">Skip to content</a>
        <header class="bar"><a class="brand" href="$${BREAK_IT_PATH}">Break it</a></header>
        $${isLive ? RELOAD_HINT : ''}
        <main id="content" tabindex="-1" $${live}>$${content}</main>
      </body>
    </html> `;
};

export const errorContentHtml = (message: string): string =>
  html`<h1>This is not possible now</h1>
    $${noticeHtml('bad', html`<p>${message}</p>`, { alert: true })}
    <p><a href="$${BREAK_IT_PATH}">Back</a></p>`;

/** Everything below the bar. */
export const pageContentHtml = (view: BreakItView): string =>
  html`<h1>Break it</h1>
    <p>
      Kill processes and make partners fail, and see that no order is lost or doubled. All faults come from outside: the
      code of the shop has no switch for them. This page exists only in the development stack.
    </p>
    $${linksHtml(view)}
    <h2>Place orders, kill a process, watch</h2>
    $${sceneFormHtml(view)} $${view.scene ? sceneHtml(view.scene, view.addresses?.apiUrl) : ''}
    <h2>Kill a process</h2>
    <p class="quiet">
      Each button sends SIGKILL, as a crash does. The stack restarts the process, at most five times a minute.
    </p>
    <ul class="cards">
      $${view.processes.map(processHtml).join('')}
    </ul>
    $${partnerHtml('Payment gateway', view)} $${partnerHtml('Carrier', view)}
    <h2>What happened</h2>
    $${tableHtml('What happened', LOG_COLUMNS, view.log, 'Nothing yet.')}`;

const linksHtml = ({ addresses }: BreakItView): string => {
  if (!addresses) return noticeHtml('attention', '<p>The stack is starting or stopping.</p>');
  const { apiUrl, webUiUrl, mailboxUrl } = addresses;
  const links = [
    html`<a href="$${urlHtml(`${apiUrl}/console`)}">Console</a>`,
    webUiUrl && html`<a href="$${urlHtml(webUiUrl)}">Temporal Web UI</a>`,
    mailboxUrl && html`<a href="$${urlHtml(mailboxUrl)}">Mailbox</a>`,
  ];
  return html`<p>$${links.filter(Boolean).join(' · ')}</p>`;
};

function sceneFormHtml({ scene, processes }: BreakItView): string {
  if (scene && isRunning(scene.scene)) return '';
  const processOptions = processes
    .filter(({ pid }) => pid !== undefined)
    .map(({ name }) => html`<option value="${name}">${PROCESS_LABELS[name]}</option>`);
  return html`<form class="filters" method="post" action="$${BREAK_IT_PATH}/scene" data-keep>
    <label
      >Orders
      <select name="orders">
        $${optionsHtml(ORDER_COUNTS.map(String), '50')}
      </select></label
    >
    <label
      >Process to kill
      <select name="kill">
        $${processOptions.join('')}
      </select></label
    >
    <button class="primary">Place, kill and watch</button>
  </form>`;
}

const capitalize = (text: string): string => text[0]!.toUpperCase() + text.slice(1);

const PROCESS_TONES = {
  running: 'good',
  starting: 'active',
  'not ready': 'attention',
  'not running': 'attention',
} as const;

const processHtml = ({ name, pid, state }: BreakItView['processes'][number]): string =>
  html`<li class="card">
    <h3>${capitalize(PROCESS_LABELS[name].replace(/^the /, ''))}</h3>
    <p>$${badgeHtml(state, PROCESS_TONES[state])} ${pid === undefined ? '' : `process ${pid}`}</p>
    $${
      pid === undefined
        ? ''
        : html`<form method="post" action="$${BREAK_IT_PATH}/kill/$${name}">
            <button class="danger">Kill ${PROCESS_LABELS[name]}</button>
          </form>`
    }
  </li>`;

function partnerHtml(partner: BreakItView['switches'][number]['partner'], { switches }: BreakItView): string {
  const cards = switches
    .filter((each) => each.partner === partner && !each.isExclusive)
    .map(
      ({ name, title, explanation, isOn }) =>
        html`<li class="card">
          <h3>${title}</h3>
          <p>$${isOn ? badgeHtml('on', 'bad') : badgeHtml('normal', 'neutral')}</p>
          <p>${explanation}</p>
          <form method="post" action="$${BREAK_IT_PATH}/switches/$${name}/$${isOn ? 'off' : 'on'}">
            <button aria-label="${partner}, ${title}: ${isOn ? 'back to normal' : 'turn on'}">
              ${isOn ? 'Back to normal' : 'Turn on'}
            </button>
          </form>
        </li>`,
    );
  const choices = switches.filter((each) => each.partner === partner && each.isExclusive);
  return html`<h2>${partner}</h2>
    <ul class="cards">
      $${choices.length > 0 ? choicesHtml(choices) : ''}$${cards.join('')}$${partner === 'Carrier' ? FOREIGN_REPORT_HTML : ''}
    </ul>`;
}

/** The answers of the gateway: normal, or one of the faults that exclude each other. */
function choicesHtml(faults: BreakItView['switches']): string {
  const active = faults.find(({ isOn }) => isOn);
  const isNormal = active === undefined;
  const normal = { name: NORMAL, title: 'Normal', explanation: 'Each call is processed and answered.', isOn: isNormal };
  const radios = [normal, ...faults].map(({ name, title, explanation, isOn }) => {
    const checked = isOn ? ' checked' : '';
    return html`<label
      ><input type="radio" name="answers" value="${name}" $${checked} /> ${title}
      <span class="hint">${explanation}</span></label
    >`;
  });
  return html`<li class="card">
    <h3>Answers to charges and refunds</h3>
    <p>$${active ? badgeHtml(active.title.toLowerCase(), 'bad') : badgeHtml('normal', 'neutral')}</p>
    <form method="post" action="$${BREAK_IT_PATH}/gateway-answers">
      <fieldset>
        <legend>The gateway</legend>
        $${radios.join('')}
      </fieldset>
      <button>Apply</button>
    </form>
  </li>`;
}

const FOREIGN_REPORT_HTML = html`<li class="card">
  <h3>Reports about another parcel</h3>
  <p>The carrier reports once to the newest order that a parcel of another order is delivered. The order ignores it.</p>
  <form method="post" action="$${BREAK_IT_PATH}/foreign-report"><button>Send the report</button></form>
</li>`;

const LOG_COLUMNS = [
  { title: 'Time', cellHtml: ({ at }: LogEntry) => timeHtml(at) },
  { title: 'Event', cellHtml: ({ text }: LogEntry) => html`${text}` },
];
