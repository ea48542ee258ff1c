// Updates the curl command while somebody types into the form. The server builds the command.
const DELAY_MS = 200;

const form = document.querySelector('form[data-curl]');
const output = document.getElementById('curl');
let timer;
let latest = 0;

async function update() {
  const number = (latest += 1);
  const body = new URLSearchParams(new FormData(form));
  const response = await fetch(form.dataset.curl, { method: 'POST', body }).catch(() => undefined);
  // A later update may have finished first.
  if (response?.ok && number === latest) output.textContent = await response.text();
}

form.addEventListener('input', () => {
  clearTimeout(timer);
  timer = setTimeout(update, DELAY_MS);
});
