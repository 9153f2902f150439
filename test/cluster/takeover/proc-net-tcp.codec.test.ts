// The kernel's table of connections: every entry that it can print is read as it was, and nothing that is none.
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ESTABLISHED, parseProcNetTcp, type TcpEntry } from '../../../src/cluster/takeover/proc-net-tcp.codec.ts';

const HEADING =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     ';

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0');

/** As a little-endian kernel prints words that are in network order. */
function words(bytes: readonly number[]): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4)
    text += bytes
      .slice(at, at + 4)
      .reverse()
      .map((byte) => hex(byte, 2))
      .join('');
  return text;
}

const byte = fc.integer({ min: 0, max: 255 });
const four = fc.tuple(byte, byte, byte, byte);
const ipv4 = four.map((bytes) => ({ text: bytes.join('.'), hex: words(bytes) }));
const mapped = four.map((bytes) => ({
  text: bytes.join('.'),
  hex: words([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...bytes]),
}));
const ipv6 = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }).map((groups) => {
  // Not one that is IPv4 in truth.
  const own = [0x20_01, ...groups.slice(1)];
  return {
    text: own.map((group) => group.toString(16)).join(':'),
    hex: words(own.flatMap((group) => [group >> 8, group & 255])),
  };
});
const port = fc.integer({ min: 0, max: 65_535 });
const pair = fc.oneof(fc.tuple(ipv4, ipv4), fc.tuple(mapped, mapped), fc.tuple(ipv6, ipv6));
const entry = fc.record({ pair, from: port, to: port, state: fc.integer({ min: 1, max: 12 }) });

type Made = typeof entry extends fc.Arbitrary<infer T> ? T : never;

const line = ({ pair: [local, remote], from, to, state }: Made, index: number): string =>
  `${String(index).padStart(4)}: ${local.hex}:${hex(from, 4)} ${remote.hex}:${hex(to, 4)} ${hex(state, 2)} 00000000:00000000 00:00000000 00000000  1000        0 54678 1 000000001555e431 100 0 0 10 0`;
const meant = ({ pair: [local, remote], from, to, state }: Made): TcpEntry => ({
  local: { address: local.text, port: from },
  remote: { address: remote.text, port: to },
  state,
});

test('every table is read as it was written; a line that was cut is left out', () => {
  fc.assert(
    fc.property(fc.array(entry), fc.nat({ max: 36 }), (entries, cut) => {
      const text = [HEADING, ...entries.map(line), HEADING, ...entries.map(line)].join('\n');
      expect(parseProcNetTcp(text)).toEqual([...entries, ...entries].map(meant));
      const shorter = [HEADING, ...entries.map(line).map((one) => one.slice(0, cut))].join('\n');
      expect(parseProcNetTcp(shorter)).toEqual([]);
    }),
  );
});

test('anything else gives nothing, and no error', () => {
  fc.assert(fc.property(fc.string(), (text) => parseProcNetTcp(text).length === 0));
});

test.runIf(process.platform === 'linux')(
  'this machine’s own table has the connections that this process has',
  async () => {
    const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port: to } = server.address() as AddressInfo;
    const client = connect(to, '127.0.0.1');
    await new Promise((resolve) => client.once('connect', resolve));
    const found = parseProcNetTcp(readFileSync('/proc/net/tcp', 'latin1')).filter(
      ({ local, state }) => local.port === to && state === ESTABLISHED,
    );
    expect(found.map(({ remote }) => remote)).toEqual([{ address: '127.0.0.1', port: client.localPort }]);
    client.destroy();
    server.close();
  },
);
