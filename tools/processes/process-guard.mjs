/**
 * Guards one child process. tools/processes/processes.ts starts this program. This program starts the child and stops
 * the child when the parent process ends. The kernel closes the IPC channel even if the parent was killed with SIGKILL.
 */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';

const outputDrainTimeoutMs = 1_000;

// Ignores stop signals, because the parent decides when the child stops.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
// Ignores write errors, because the parent may close these pipes while the child still writes.
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

/** Kills this process group, which contains only this guard and the processes that the child left running. */
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
