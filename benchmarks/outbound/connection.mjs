// One connection to the target by each of the ways that are compared, and HTTP/1.1 on it, small enough not to be what is measured.
// way = { kind: 'tcp', host, port } (kubectl port-forward; or by name, under the shim) | { kind: 'socks' | 'http', proxy, host, port }
import { once } from 'node:events';
import { connect } from 'node:net';

async function read(socket, bytes) {
  for (;;) {
    const chunk = socket.read(bytes);
    if (chunk) return chunk;
    if (socket.destroyed) throw new Error('closed during the handshake');
    await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
  }
}

/** Resolves with a socket on which the request can be written, and the prefix that the path needs. */
export async function open(way) {
  const [host, port] = way.kind === 'tcp' ? [way.host, way.port] : way.proxy.split(':');
  const socket = connect({ host, port: Number(port), noDelay: true, highWaterMark: 256 * 1024 });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (way.kind === 'socks') {
    socket.write(Buffer.from([5, 1, 0]));
    await read(socket, 2);
    const name = Buffer.from(way.host);
    socket.write(
      Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([way.port >> 8, way.port & 255])]),
    );
    const reply = await read(socket, 10);
    if (reply[1] !== 0) throw new Error(`SOCKS reply ${reply[1]}`);
  }
  return {
    socket,
    prefix: way.kind === 'http' ? `http://${way.host}:${way.port}` : '',
    host: `${way.host}:${way.port}`,
  };
}

/** Sends a request and reads its answer whole; resolves with the number of body bytes. */
export function request({ socket, prefix, host }, method, path, body = 0) {
  return new Promise((resolve, reject) => {
    let head = '';
    let left = -1;
    let received = 0;
    const done = (error) => {
      socket.off('data', onData).off('close', onClose);
      if (error) reject(error);
      else resolve(received);
    };
    const onClose = () => done(new Error('closed before the answer'));
    const onData = (chunk) => {
      if (left < 0) {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return;
        if (!head.startsWith('HTTP/1.1 200')) return done(new Error(head.slice(0, 80)));
        const length = /content-length: (\d+)/i.exec(head);
        received = head.length - end - 4;
        left = length ? Number(length[1]) - received : 0;
        if (!length) return done(new Error('no content-length'));
      } else {
        received += chunk.length;
        left -= chunk.length;
      }
      if (left <= 0) done();
    };
    socket.on('data', onData).on('close', onClose);
    socket.write(
      `${method} ${prefix}${path} HTTP/1.1\r\nHost: ${host}\r\n${body > 0 ? `Content-Length: ${body}\r\n` : ''}\r\n`,
    );
    if (body > 0) upload(socket, body);
  });
}

const block = Buffer.alloc(256 * 1024, 'y');

function upload(socket, left) {
  const more = () => {
    while (left > 0) {
      const part = left < block.length ? block.subarray(0, left) : block;
      left -= part.length;
      if (!socket.write(part)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
}
