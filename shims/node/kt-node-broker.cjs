// The Node shim's way to kt's broker on 127.0.0.1 (src/netstack/broker/protocol.codec.ts has the lines): one question, one answer, an end
// to every wait. A kt that is gone is one line on stderr for each process; one that was started again since is found by the session
// file (src/session/session-file.ts). Loaded by kt-node.cjs beside it.
'use strict';

module.exports = brokerClient;

/** How a connection ends that was taken and not answered. */
const HUNG_UP = new Set(['connection closed', 'ECONNRESET']);

function brokerClient(net, realConnect, settings, onFound) {
  const debug = settings.KT_DEBUG === '1' ? (text) => process._rawDebug(`[kt] ${text}`) : () => {};
  let introduced = false;
  let warned = false;

  /** One line on stderr for each process: a program that retries would fill its log. */
  function warn(text) {
    if (warned) return;
    warned = true;
    process._rawDebug(`kt: ${text}`);
  }

  /**
   * Has another kt been started since the one with `token` was asked? The file has the lines of src/session/session-file.ts. Read at once
   * and not later: it is small, local, and read only when kt is gone.
   */
  function found(token) {
    if (settings.KT_TOKEN !== token) return true;
    try {
      const text = require('node:fs').readFileSync(settings.KT_SESSION_FILE, 'utf8');
      const lines = Object.fromEntries([...text.matchAll(/^(KT_\w+)=(.*)$/gm)].map((line) => [line[1], line[2]]));
      if (!lines.KT_BROKER || !lines.KT_TOKEN || lines.KT_TOKEN === token) return false;
      Object.assign(settings, lines);
    } catch {
      return false;
    }
    onFound();
    if (warned) process._rawDebug('kt: kt is running again');
    warned = false;
    return true;
  }

  /**
   * Sends one question, calls back once with (error, answer line); where kt was started again meanwhile, that one is asked. A kt that
   * hangs up without a word is asked once more: it has no descriptor to spare at that moment, or is just ending, which the second try tells.
   * Returns what withdraws the question.
   */
  function ask(question, timeoutMs, options, callback) {
    const { KT_TOKEN } = settings;
    let withdraw = askOnce(question, timeoutMs, options, (away, line) => {
      if (!away) callback(undefined, line);
      else if (found(KT_TOKEN) || away.unanswered) withdraw = askOnce(question, timeoutMs, options, finish);
      else finish(away);
    });
    const finish = (away, line) => {
      if (away) warn(away.message);
      callback(away, line);
    };
    return () => withdraw();
  }

  /** Every wait has an end: a broker that is stopped does not answer. */
  function askOnce(question, timeoutMs, options, callback) {
    const { KT_BROKER, KT_TOKEN } = settings;
    const port = Number(KT_BROKER.slice(KT_BROKER.lastIndexOf(':') + 1));
    const socket = new net.Socket();
    // The first question of a process says who asks; its answer comes first.
    const hello = introduced ? '' : `KT1 ${KT_TOKEN} HELLO node ${process.version} ${process.pid}\n`;
    introduced = true;
    let skip = hello === '' ? 0 : 1;
    let received = '';
    let done = false;
    const finish = (error, line) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      socket.destroy();
      debug(`${question} -> ${error ? error.message : line}`);
      callback(error, line);
    };
    const away = (reason) => {
      if (done) return;
      introduced = false;
      const text = `kt is not running (127.0.0.1:${port}: ${reason}); cluster names and addresses cannot be reached`;
      finish(Object.assign(new Error(text), { unanswered: received === '' && HUNG_UP.has(reason) }));
    };
    const timer = setTimeout(() => away(`no answer within ${timeoutMs} ms`), timeoutMs);
    if (options.unref) {
      timer.unref();
      socket.unref();
    }
    socket.setNoDelay(true);
    socket.on('error', (error) => away(error.code || error.message));
    socket.on('close', () => away('connection closed'));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      let end = received.indexOf('\n');
      if (skip > 0 && end !== -1 && received.startsWith('OK')) {
        skip = 0;
        received = received.slice(end + 1);
        end = received.indexOf('\n');
      }
      if (end === -1) return;
      const line = received.slice(0, end);
      // The port is another program's now, or another kt's with a token of its own.
      if (!/^(OK|NO$|ERR )/.test(line) || line.startsWith('ERR EACCES wrong')) away(line.slice(0, 100));
      else finish(undefined, line);
    });
    realConnect.call(socket, { port, host: '127.0.0.1', autoSelectFamily: false });
    socket.write(`${hello}KT1 ${KT_TOKEN} ${question}\n`, 'latin1');
    return () => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      socket.destroy();
    };
  }
  return { ask, warn };
}
