// Callers of a Service, run by `node -e` in a pod (inbound.ts sets URL_, HEADERS, KINDS, H2, TCP, TIMEOUT_MS). One line for each answer: `kind name`, and
// `kind !reason` for one that failed. Ends with its stdin.
/* global URL_, HEADERS, KINDS, H2, TCP, TIMEOUT_MS */
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');

const target = new URL(URL_);
const say = (kind, name) => console.log(`${kind} ${name}`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const nameOf = (text, status) => {
  try {
    return JSON.parse(text).name;
  } catch {
    return `!${status}`;
  }
};

function ask(kind, agent) {
  return new Promise((done) => {
    const request = http.get(URL_, { agent, headers: HEADERS, timeout: TIMEOUT_MS }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => done(say(kind, nameOf(text, response.statusCode))));
      response.on('error', () => done(say(kind, '!broken')));
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', (error) => done(say(kind, `!${error.code ?? error.message}`)));
  });
}

async function pool(kind, agent, ms) {
  for (;;) {
    await ask(kind, agent());
    await pause(ms);
  }
}

/** One socket, requests written by hand; another one only where the server has closed it, or said that it will, between requests. */
async function raw() {
  const fields = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = `GET / HTTP/1.1\r\nHost: ${target.hostname}\r\n${fields.join('')}\r\n`;
  for (;;) {
    const socket = net.connect(Number(target.port || 80), target.hostname);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    let ended = false;
    let failure = '';
    socket.once('end', () => (ended = true));
    socket.on('error', (error) => (failure = error.code));
    while (!ended && failure === '') {
      socket.write(request);
      const answer = await answerOf(socket, closed);
      if (answer === undefined) say('raw', `!${failure || 'ended without an answer'}`);
      else say('raw', nameOf(answer.body, 'broken'));
      if (answer === undefined || answer.close) break;
      await pause(25);
    }
    socket.destroy();
    await closed;
    await pause(25);
  }
}

function answerOf(socket, closed) {
  return new Promise((resolve) => {
    let text = '';
    const take = (chunk) => {
      text += chunk;
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = text.slice(0, end).toLowerCase();
      const body = bodyOf(head, text.slice(end + 4));
      if (body === undefined) return;
      socket.off('data', take);
      resolve({ body, close: head.includes('connection: close') });
    };
    socket.on('data', take);
    void closed.then(() => resolve(undefined));
  });
}

/** undefined: there is more to come. */
function bodyOf(head, text) {
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1];
  if (length !== undefined) return text.length >= Number(length) ? text.slice(0, Number(length)) : undefined;
  if (!text.endsWith('0\r\n\r\n')) return undefined;
  return text.replace(/(^|\r\n)[0-9a-f]+\r\n/g, '').trim();
}

async function h2() {
  for (;;) {
    const session = http2.connect(`http://${target.hostname}:${H2}`);
    let leaving = false;
    session.on('goaway', () => (leaving = true)).on('close', () => (leaving = true));
    session.on('error', (error) => {
      leaving = true;
      say('h2', `!${error.code}`);
    });
    while (!leaving) {
      await new Promise((done) => {
        const stream = session.request({ ...HEADERS });
        let text = '';
        stream.setTimeout(TIMEOUT_MS, () => stream.close());
        stream.on('data', (chunk) => (text += chunk));
        stream.on('error', () => undefined);
        stream.on('close', () => {
          // RFC 9113 §8.7: nobody has seen it; it is asked again, on the next connection, as every HTTP/2 client does.
          if (stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM) leaving = true;
          else say('h2', nameOf(text, `code ${stream.rstCode}`));
          done();
        });
      });
      await pause(25);
    }
    session.close();
  }
}

/** Not HTTP: a line for each connection, which comes back behind the name of who got it. */
async function tcp() {
  for (;;) {
    const said = await new Promise((done) => {
      const socket = net.connect(TCP, target.hostname);
      const timer = setTimeout(() => done('!timeout'), TIMEOUT_MS);
      let text = '';
      socket.on('data', (chunk) => (text += chunk));
      socket.on('error', (error) => done(`!${error.code}`));
      socket.on('close', () => {
        clearTimeout(timer);
        done(text.endsWith(' hello\n') ? text.split(' ')[0] : '!cut');
      });
      socket.write('hello\n');
    });
    say('tcp', said);
    await pause(25);
  }
}

const kept = () => new http.Agent({ keepAlive: true, maxSockets: 1 });
const [busy, idle] = [kept(), kept()];
const callers = {
  new: () => pool('new', () => new http.Agent({ keepAlive: false }), 25),
  kept: () => pool('kept', () => busy, 25),
  idle: () => pool('idle', () => idle, 1_700),
  raw,
  tcp,
  h2,
};
for (const kind of KINDS) void callers[kind]();
process.stdin.resume().on('end', () => process.exit(0));
