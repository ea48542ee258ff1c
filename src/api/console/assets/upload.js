// Sends the file of the upload form as the body, shows how much was sent, and accepts files by drag and drop.
const FILE_TYPE = 'application/octet-stream';

const megabytes = (bytes) => (bytes / 1_000_000).toFixed(1);

/** Shows the progress of a request with a button that stops it. Returns a function that updates the progress. */
function showProgress(output, request) {
  const bar = document.createElement('progress');
  bar.setAttribute('aria-label', 'Sent');
  const text = document.createElement('p');
  const stop = document.createElement('button');
  stop.type = 'button';
  stop.textContent = 'Stop the upload';
  stop.addEventListener('click', () => request.abort());
  output.replaceChildren(bar, text, stop);
  return ({ loaded, total }) => {
    bar.max = total;
    bar.value = loaded;
    const isSent = loaded === total;
    text.textContent = isSent
      ? 'The file is sent. The items are being checked and stored.'
      : `${megabytes(loaded)} of ${megabytes(total)} MB sent`;
  };
}

function send(form, file) {
  const output = form.querySelector('.progress');
  const button = form.querySelector('button.primary');
  const fields = new FormData(form);
  fields.delete('file');
  const query = new URLSearchParams(fields);
  query.set('fileName', file.name);

  const request = new XMLHttpRequest();
  const update = showProgress(output, request);
  const fail = (message) => {
    output.textContent = message;
    button.disabled = false;
  };
  request.upload.addEventListener('progress', update);
  request.addEventListener('load', () => {
    if (request.status < 400) return location.assign(request.responseURL);
    const main = request.response?.querySelector('main');
    if (!main) return fail(`The server responded with status ${request.status}.`);
    showResponse(main);
  });
  request.addEventListener('error', () =>
    fail('The connection was interrupted. Nothing was started. Please try again.'),
  );
  request.addEventListener('abort', () => fail('The upload was stopped. Nothing was started.'));
  request.open('POST', `${form.action}?${query}`);
  request.responseType = 'document';
  request.setRequestHeader('content-type', FILE_TYPE);
  button.disabled = true;
  update({ loaded: 0, total: Math.max(file.size, 1) });
  request.send(file);
}

/** Replaces the content with the response of the server, which explains the problem and has the form again. */
function showResponse(main) {
  const current = document.querySelector('main');
  current.replaceChildren(...document.importNode(main, true).childNodes);
  // A live update would remove the response.
  current.dispatchEvent(new Event('replaced'));
  start(current.querySelector('form[data-upload]'));
  current.focus();
  window.scrollTo(0, 0);
}

function acceptDrops(zone, input) {
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop'])
    zone.addEventListener(type, (event) => {
      event.preventDefault();
      zone.classList.toggle('over', type === 'dragenter' || type === 'dragover');
    });
  zone.addEventListener('drop', ({ dataTransfer }) => {
    if (dataTransfer.files.length > 0) input.files = dataTransfer.files;
  });
}

function start(form) {
  if (!form) return;
  const input = form.querySelector('input[type=file]');
  acceptDrops(form.querySelector('.drop'), input);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send(form, input.files[0]);
  });
}

start(document.querySelector('form[data-upload]'));
