// Makes the pages of the console live. Every page also works without this script.
import { Idiomorph } from './idiomorph.js';

/** Shows the times of an element in the time zone of the browser. The server renders UTC. */
function showLocalTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  for (const element of root.querySelectorAll('time[datetime]')) {
    const time = new Date(element.dateTime);
    if (!Number.isNaN(time.getTime())) element.textContent = format.format(time);
  }
}

/** The values that a person has typed or chosen since the server rendered the controls. Returns how to restore them. */
function keepEdits(region) {
  const restores = [...region.querySelectorAll('input, textarea, select')].flatMap(restoreOf);
  return () => restores.forEach((restore) => restore());
}

/** Returns a function that restores the edit of a control, as a list that is empty if the control is not edited. */
function restoreOf(control) {
  const { name, type, value, checked } = control;
  const isSame = () => control.isConnected && control.name === name && control.type === type;
  if (type === 'select-one') {
    if (value === defaultValueOf(control)) return [];
    const hasOption = () => [...control.options].some((option) => option.value === value);
    return [() => isSame() && hasOption() && (control.value = value)];
  }
  if (type === 'radio' || type === 'checkbox') {
    // The chosen radio of a group clears the other radios.
    if (checked === control.defaultChecked || (type === 'radio' && !checked)) return [];
    return [() => isSame() && control.value === value && (control.checked = checked)];
  }
  if (type === 'file' || value === control.defaultValue) return [];
  return [() => isSame() && control.value !== value && (control.value = value)];
}

/** The value that the server selected: the last option with `selected`, or else the first option. */
function defaultValueOf({ options }) {
  return ([...options].findLast((option) => option.defaultSelected) ?? options[0])?.value ?? '';
}

/** Replaces the content with HTML of the server. Keeps the focus, typed text, choices and opened details. */
function update(region, content) {
  const restoreEdits = keepEdits(region);
  Idiomorph.morph(region, content, {
    morphStyle: 'innerHTML',
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed: (node) => !(node instanceof HTMLElement && node.matches('[data-keep]')),
      beforeAttributeUpdated: (name, node) => !(name === 'open' && node instanceof HTMLDetailsElement),
    },
  });
  restoreEdits();
  showLocalTimes(region);
}

const RECONNECT_DELAY_MS = 5_000;

/**
 * Updates the content whenever the server sends a change. The browser itself connects again when a connection breaks,
 * but not after an error response. A hidden tab has no stream, because browsers open few connections per server.
 */
function follow(region, connection) {
  let source;
  let isFinal = false;
  connect();
  document.addEventListener('visibilitychange', connect);
  // Another script has replaced the content.
  region.addEventListener('replaced', () => {
    isFinal = true;
    source?.close();
  });

  function connect() {
    source?.close();
    if (document.hidden || isFinal) return;
    source = new EventSource(region.dataset.live);
    source.addEventListener('update', ({ data }) => update(region, JSON.parse(data)));
    source.addEventListener('end', ({ data }) => {
      isFinal = true;
      source.close();
      update(region, JSON.parse(data));
    });
    source.addEventListener('open', () => connection.show(undefined));
    source.addEventListener('error', handleError);
  }

  async function handleError() {
    if (isFinal || document.hidden) return;
    connection.show('interrupted');
    if (source.readyState !== EventSource.CLOSED) return;
    if (await hasSessionEnded()) connection.show('signed-out');
    else setTimeout(connect, RECONNECT_DELAY_MS);
  }
}

/** Whether the server would redirect to the sign-in page. A reload would do so, but would discard typed text. */
async function hasSessionEnded() {
  const account = await fetch('/console/account', { method: 'HEAD', redirect: 'manual' }).catch(() => undefined);
  return account?.type === 'opaqueredirect';
}

/** Shows one of the messages about the connection, if the page contains them. */
function connectionStatus(element) {
  return {
    show(state) {
      for (const message of element?.children ?? []) message.hidden = message.dataset.state !== state;
    },
  };
}

// Replaces the history entry of a response to a form, so that Back and reload open the page and do not send the form
// again.
history.replaceState(history.state, '', location.href);

showLocalTimes(document);
const region = document.querySelector('[data-live]');
if (region) follow(region, connectionStatus(document.querySelector('#connection')));
