import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import { type SocksCommand, SocksMachine, type SocksOptions } from '../../../src/netstack/socks/socks5.machine.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** A command as one line, so that a test reads like a transcript. */
function line(command: SocksCommand): string {
  switch (command.do) {
    case 'send':
      return `send ${command.bytes.toString('hex')}`;
    case 'dial':
      return `dial ${command.target.host} ${command.target.port} early '${command.early.toString('latin1')}'`;
    case 'associate':
      return `associate ${command.client.host} ${command.client.port}`;
    case 'close':
      return `close ${command.code}: ${command.reason}`;
    default:
      return command satisfies never;
  }
}

function say(machine: SocksMachine, bytes: string): string[] {
  return machine.receive(hex(bytes)).map(line);
}

const password: SocksOptions = { checkPassword: (username, secret) => username === 'dev' && secret === 'geheim' };
const CONNECT = '05 01 00 03 07 67617465776179 0050';

describe('a handshake', () => {
  test('without a password', () => {
    const machine = new SocksMachine();
    expect(say(machine, '05 01 00')).toEqual(['send 0500']);
    expect(say(machine, CONNECT)).toEqual(["dial gateway 80 early ''"]);
    expect(machine.opened().map(line)).toEqual(['send 05000001000000000000']);
    expect(machine.state).toBe('relaying');
  });

  test('with a password', () => {
    const machine = new SocksMachine(password);
    expect(say(machine, '05 02 00 02')).toEqual(['send 0502']);
    expect(say(machine, '01 03 646576 06 67656865696d')).toEqual(['send 0100']);
    expect(say(machine, CONNECT)).toEqual(["dial gateway 80 early ''"]);
  });

  test('a wrong password', () => {
    const machine = new SocksMachine(password);
    say(machine, '05 01 02');
    expect(say(machine, '01 03 646576 01 78')).toEqual(['send 0101', 'close DIAL_DENIED: wrong user name or password']);
    expect(say(machine, CONNECT)).toEqual([]);
  });

  test('a client that offers no password where one is asked for', () => {
    const machine = new SocksMachine(password);
    expect(say(machine, '05 01 00')).toEqual([
      'send 05ff',
      'close DIAL_DENIED: the client offers no method that is allowed here (a user name and password are asked for)',
    ]);
  });

  test('a client that insists on a password where none is asked for', () => {
    const machine = new SocksMachine();
    expect(say(machine, '05 01 02')).toEqual(['send 0502']);
    expect(say(machine, '01 01 61 00')).toEqual(['send 0100']);
    expect(say(machine, CONNECT)).toEqual(["dial gateway 80 early ''"]);
  });

  test('all in one segment, with early data', () => {
    const machine = new SocksMachine();
    expect(say(machine, `05 01 00 ${CONNECT} 474554`)).toEqual(['send 0500', "dial gateway 80 early 'GET'"]);
    expect(machine.heldBytes).toBe(0);
  });

  test('cut at every byte', () => {
    const bytes = hex(`05 02 00 02 01 03 646576 06 67656865696d ${CONNECT}`);
    const machine = new SocksMachine(password);
    const lines: string[] = [];
    for (const byte of bytes) lines.push(...machine.receive(Buffer.from([byte])).map(line));
    expect(lines).toEqual(['send 0502', 'send 0100', "dial gateway 80 early ''"]);
  });

  test('SOCKS4a, and SOCKS4 refused where a password is asked for', () => {
    const machine = new SocksMachine();
    expect(say(machine, '04 01 0050 00000001 00 67617465776179 00 6869')).toEqual(["dial gateway 80 early 'hi'"]);
    expect(machine.opened().map(line)).toEqual(['send 005a000000000000']);
    expect(say(new SocksMachine(password), '04 01 0050 0a600001 00')).toEqual([
      'send 005b000000000000',
      'close DIAL_DENIED: a password is asked for, and SOCKS4 has none',
    ]);
    expect(say(new SocksMachine(), '04 02 0050 0a600001 00')).toEqual([
      'send 005b000000000000',
      'close UNSUPPORTED: only CONNECT is served',
    ]);
  });
});

describe('refusals', () => {
  const request = (bytes: string): string[] => {
    const machine = new SocksMachine();
    say(machine, '05 01 00');
    return say(machine, bytes);
  };

  test('BIND is 07, an unknown command too', () => {
    expect(request('05 02 00 01 7f000001 0050')).toEqual([
      'send 05070001000000000000',
      'close UNSUPPORTED: BIND is not served',
    ]);
    expect(request('05 09 00 01 7f000001 0050')).toEqual([
      'send 05070001000000000000',
      'close UNSUPPORTED: command 9 is not served',
    ]);
  });

  test('an unknown address type is 08', () => {
    expect(request('05 01 00 05 7f000001 0050')).toEqual([
      'send 05080001000000000000',
      'close USAGE: address type 5 is not known',
    ]);
  });

  test('port 0 is 01', () => {
    expect(request('05 01 00 01 7f000001 0000')).toEqual([
      'send 05010001000000000000',
      'close USAGE: port 0 can not be dialled',
    ]);
  });

  test('a failed dial', () => {
    const machine = new SocksMachine();
    say(machine, `05 01 00 ${CONNECT}`);
    expect(machine.failed(new KtError('DIAL_REFUSED', 'nobody listens')).map(line)).toEqual([
      'send 05050001000000000000',
      'close DIAL_REFUSED: nobody listens',
    ]);
    expect(machine.opened()).toEqual([]);
  });

  test.each([
    [
      'an HTTP request',
      Buffer.from('GET / HTTP/1.1').toString('hex'),
      'this looks like an HTTP request (use the HTTP proxy port)',
    ],
    ['a ClientHello', '16 03 01 02 00', 'this looks like TLS (the proxy itself speaks no TLS)'],
    ['anything else', '99', 'first byte 0x99'],
  ])('%s on the SOCKS port is named', (_, bytes, reason) => {
    expect(say(new SocksMachine(), bytes)).toEqual([`close USAGE: not a SOCKS client: ${reason}`]);
  });

  test('a handshake that is given up names where it stood', () => {
    const machine = new SocksMachine();
    say(machine, '05 01 00 05');
    expect(machine.abandon('the client closed').map(line)).toEqual([
      "close USAGE: the client closed (SOCKS handshake, state 'request')",
    ]);
    expect(machine.abandon('again')).toEqual([]);
  });
});

describe('UDP ASSOCIATE', () => {
  test('tells the bound address', () => {
    const machine = new SocksMachine();
    expect(say(machine, '05 01 00 05 03 00 01 00000000 0000')).toEqual(['send 0500', 'associate 0.0.0.0 0']);
    expect(machine.bound({ host: '127.0.0.1', port: 5353 }).map(line)).toEqual(['send 050000017f00000114e9']);
  });

  test('where no port could be bound', () => {
    const machine = new SocksMachine();
    say(machine, '05 01 00 05 03 00 01 00000000 0000');
    expect(machine.failed(new KtError('LISTEN_FAILED', 'none')).map(line)).toEqual([
      'send 05010001000000000000',
      'close LISTEN_FAILED: none',
    ]);
  });
});

describe('properties', () => {
  const clientBytes = fc.oneof(
    fc.uint8Array({ maxLength: 1200 }),
    fc.uint8Array({ maxLength: 1200 }).map((bytes) => Buffer.concat([hex('05 01 00'), bytes])),
    fc.uint8Array({ maxLength: 1200 }).map((bytes) => Buffer.concat([hex('05 02 00 02 01'), bytes])),
    fc.uint8Array({ maxLength: 1200 }).map((bytes) => Buffer.concat([hex('05 01 00 05 01 00'), bytes])),
    fc.uint8Array({ maxLength: 1200 }).map((bytes) => Buffer.concat([hex('04 01 00 50'), bytes])),
  );

  test('random bytes at random cuts never throw and hold little', () => {
    fc.assert(
      fc.property(
        clientBytes,
        fc.array(fc.integer({ min: 1, max: 300 })),
        fc.boolean(),
        (bytes, cuts, asksPassword) => {
          const machine = new SocksMachine(asksPassword ? password : {});
          let rest = Buffer.from(bytes);
          for (const cut of [...cuts, bytes.length]) {
            const commands = machine.receive(rest.subarray(0, cut));
            rest = rest.subarray(cut);
            expect(machine.heldBytes).toBeLessThanOrEqual(524);
            if (commands.some((command) => command.do !== 'send')) return;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('cuts make no difference', () => {
    fc.assert(
      fc.property(clientBytes, fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 }), (bytes, cuts) => {
        const run = (sizes: readonly number[]): string[] => {
          const machine = new SocksMachine(password);
          const lines: string[] = [];
          let rest = Buffer.from(bytes);
          for (const size of sizes) {
            for (const command of machine.receive(rest.subarray(0, size))) {
              if (command.do === 'dial') return [...lines, `dial ${command.target.host}`];
              lines.push(line(command));
            }
            rest = rest.subarray(size);
          }
          return lines;
        };
        // A guess at a stranger's protocol depends on how much of it is there.
        const known = (lines: string[]): string[] => lines.map((text) => text.replace(/(not a SOCKS client):.*/, '$1'));
        expect(known(run([...cuts, bytes.length]))).toEqual(known(run([bytes.length])));
      }),
      { numRuns: 1000 },
    );
  });
});
