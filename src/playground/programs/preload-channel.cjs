// The connection of a pod's process to the playground (pods/channel.ts): questions and answers as lines of JSON. Keeps the process
// alive only while a question is open, and ends it when the playground is gone.
'use strict';
const { AsyncResource } = require('node:async_hooks');
const net = require('node:net');
const { isMainThread } = require('node:worker_threads');

/** As a killed container: 128 + SIGKILL. */
const EXIT_ORPHAN = 137;

function openChannel(pod, onSignal) {
  const waiting = new Map();
  let questions = 0;
  let held = '';
  const socket = net.connect({ host: '127.0.0.1', port: pod.channel });
  const handle = socket._handle;
  socket.setNoDelay(true);
  socket.setEncoding('utf8');
  socket.unref();
  socket.write(`${JSON.stringify({ token: pod.token, pid: process.pid, main: isMainThread })}\n`);
  socket.on('error', () => {});
  socket.on('close', () => {
    if (isMainThread) process.exit(EXIT_ORPHAN);
    for (const answer of waiting.values()) answer({ error: 'ENETUNREACH' });
    waiting.clear();
  });
  socket.on('data', (chunk) => {
    held += chunk;
    for (let end = held.indexOf('\n'); end >= 0; end = held.indexOf('\n')) {
      const message = JSON.parse(held.slice(0, end));
      held = held.slice(end + 1);
      if (message.signal !== undefined) {
        onSignal(message.signal);
        continue;
      }
      const answer = waiting.get(message.id);
      waiting.delete(message.id);
      if (waiting.size === 0) socket.unref();
      if (answer !== undefined) answer(message);
    }
  });

  /** `answer` is called once, later, with the playground's object. */
  function ask(question, answer) {
    questions += 1;
    waiting.set(questions, AsyncResource.bind(answer));
    if (waiting.size === 1) socket.ref();
    socket.write(`${JSON.stringify({ ...question, id: questions })}\n`);
  }

  return { ask, handle };
}

module.exports = { openChannel };
