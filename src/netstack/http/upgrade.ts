// A request in absolute-form that wants to change the protocol (websocket, h2c; RFC 9110 §7.8): asks the destination, and joins both
// sides when it agrees. When it does not, its answer goes back and the connection ends. Called by proxy.ts.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { asKtError, KtError } from '../../errors.ts';
import type { Target } from '../dialer.ts';
import { closeGently } from '../stream/close-gently.ts';
import { joinStreams } from '../stream/pump.ts';
import { reset } from '../stream/reset.ts';
import { encodeAnswer, errorAnswer } from './answer.ts';
import type { DialerAgent } from './dialer-agent.ts';
import { connectionTokens, endToEndFields, fieldValues, withoutField } from './header-fields.codec.ts';
import { Outbound } from './outbound.ts';

export interface UpgradeOptions {
  readonly incoming: IncomingMessage;
  /** Let go by node:http; its buffer holds what came after the request. */
  readonly socket: Duplex;
  readonly target: Target;
  readonly authority: string;
  readonly path: string;
  readonly single: DialerAgent;
  readonly onOpened: () => void;
  readonly onDone: (error?: Error) => void;
}

export function upgrade(options: UpgradeOptions): void {
  const { incoming, socket, target, path, single, onDone } = options;
  const cancel = new AbortController();
  let outbound: Outbound;
  const refuse = (error: KtError): void => {
    onDone(error);
    closeGently(socket, encodeAnswer(errorAnswer(error)));
  };
  try {
    const method = incoming.method ?? 'GET';
    outbound = new Outbound({
      agent: single,
      target,
      method,
      path,
      fields: requestFields(options),
      signal: cancel.signal,
    });
  } catch (cause) {
    refuse(new KtError('USAGE', 'the request has characters that HTTP does not allow', { cause }));
    return;
  }
  const { request } = outbound;
  const gone = (): void => {
    cancel.abort(new KtError('CANCELLED', 'the client went away'));
    request.destroy();
  };
  socket.once('close', gone);
  request.on('upgrade', (answer, upstream, head) => {
    socket.off('close', gone);
    options.onOpened();
    socket.write(encodeHead(answer, answer.rawHeaders));
    if (head.length > 0) upstream.unshift(head);
    void joinStreams(socket, upstream).then(({ error }) => onDone(error));
  });
  request.on('response', (answer) => {
    socket.off('close', gone);
    refusedByDestination(answer, socket, onDone);
  });
  request.on('error', (cause) => {
    socket.off('close', gone);
    void outbound.explain(cause).then((error) => (socket.destroyed ? onDone(error) : refuse(error)));
  });
  request.end();
}

function requestFields({ incoming, authority }: UpgradeOptions): string[] {
  const raw = incoming.rawHeaders;
  const named = connectionTokens(raw).filter((token) => token !== 'keep-alive' && token !== 'close' && token !== 'te');
  return [
    'Host',
    authority,
    ...withoutField(endToEndFields(raw, true), 'host'),
    'Connection',
    named.join(', '),
    ...fieldValues(raw, 'upgrade').flatMap((value) => ['Upgrade', value]),
  ];
}

/** The answer without its framing: the end of the connection ends the body. */
function refusedByDestination(answer: IncomingMessage, socket: Duplex, onDone: (error?: Error) => void): void {
  socket.write(encodeHead(answer, [...endToEndFields(answer.rawHeaders), 'Connection', 'close']));
  answer.pipe(socket, { end: false });
  answer.on('end', () => {
    onDone();
    closeGently(socket);
  });
  answer.on('error', (cause) => {
    onDone(asKtError(cause, 'STREAM_RESET'));
    reset(socket);
  });
  socket.once('close', () => answer.destroy());
}

function encodeHead({ statusCode = 502, statusMessage = '' }: IncomingMessage, fields: readonly string[]): Buffer {
  const lines = fields.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`));
  return Buffer.from(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join('')}\r\n`, 'latin1');
}
