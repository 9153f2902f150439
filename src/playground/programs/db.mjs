// The database of the playground's shop: lines of text over TCP. One pod, db-0, of the StatefulSet db.
//   SET key value   OK
//   GET key         the value, or (nil)
//   KEYS            the keys, with a space between them
//   PING            PONG
//   QUIT            ends the connection
import net from 'node:net';
import { hostname } from 'node:os';

const { PORT = '5432' } = process.env;
const LINE_MAX = 64 * 1024;
const KEYS_MAX = 10_000;
const values = new Map([
  ['apples', '42'],
  ['pears', '7'],
]);

function answer(line) {
  const [command = '', key = '', ...rest] = line.trim().split(' ');
  switch (command.toUpperCase()) {
    case 'GET':
      return values.get(key) ?? '(nil)';
    case 'SET':
      if (key === '' || (!values.has(key) && values.size >= KEYS_MAX)) return 'ERR no key, or too many';
      values.set(key, rest.join(' '));
      return 'OK';
    case 'KEYS':
      return [...values.keys()].join(' ');
    case 'PING':
      return 'PONG';
    default:
      return `ERR unknown command '${command}'`;
  }
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  let held = '';
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
  socket.on('data', (chunk) => {
    held += chunk;
    const lines = held.split('\n');
    held = lines.pop();
    if (held.length > LINE_MAX) socket.destroy();
    for (const line of lines) {
      if (line.trim().toUpperCase() === 'QUIT') socket.end();
      else if (line.trim() !== '' && socket.writable) socket.write(`${answer(line)}\n`);
    }
  });
});
server.listen(Number(PORT), () => console.log(`${hostname()} on ${PORT}`));
process.on('SIGTERM', () => process.exit());
