/**
 * Guards one child process. tools/processes/processes.ts starts this program, which starts the child and ends it when the parent
 * process is gone, however the parent ended. The kernel closes the channel even after a SIGKILL.
 */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';

const outputDrainTimeoutMs = 1_000;

// The terminal's Ctrl-C and hang-up are for the parent, which then stops the child.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
// The parent may have closed its end of these pipes while the child still writes.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

process.once('message', (order) => startChild(order));
process.once('disconnect', () => process.exit(0));

function startChild({ command, args, cwd, env, uid, gid, stopSignal, graceMs, logFile }) {
  const log = logFile && createWriteStream(logFile, { flags: 'a' }).on('error', () => {});
  const child = spawn(command, args, { cwd, env, uid, gid, stdio: ['ignore', 'pipe', 'pipe'] });
  child.once('error', (error) => sendToParent({ failed: error.message, code: error.code }, () => process.exit(1)));
  if (child.pid === undefined) return;
  sendToParent({ pid: child.pid });

  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]) {
    from.on('data', (chunk) => {
      log?.write(chunk);
      if (process.connected) to.write(chunk);
    });
  }

  process.removeAllListeners('disconnect');
  process.once('disconnect', () => {
    child.kill(stopSignal);
    setTimeout(() => child.kill('SIGKILL'), graceMs);
  });

  child.once('exit', (code, signal) => {
    const finish = callOnce(() =>
      sendToParent({ exited: { code, signal } }, () => (log ? log.end(killProcessGroup) : killProcessGroup())),
    );
    child.once('close', finish);
    setTimeout(finish, outputDrainTimeoutMs);
  });
}

/** Kills the processes that the child left behind. They are in this process group, which contains nothing else. */
function killProcessGroup() {
  if (process.platform === 'win32') process.exit(0);
  process.kill(-process.pid, 'SIGKILL');
}

function sendToParent(message, then = () => {}) {
  if (process.connected) process.send(message, then);
  else then();
}

function callOnce(action) {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
