// Reads the first length-prefixed JSON message of a stream and leaves the bytes after it in the stream.
// Works on any Readable in paused mode; called by both ends of a link. See header.codec.ts for the shape.
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import { MessageDecoder } from './header.codec.ts';

/**
 * Rejects with LINK_PROTOCOL on garbage or on silence for `limitMs`, with LINK_LOST where the stream ends or closes first
 * (or with the stream's own error). The stream itself is left alone: the caller decides.
 */
export function readMessage(stream: Duplex, limitMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const decoder = new MessageDecoder();
    const timer = setTimeout(() => fail(new KtError('LINK_PROTOCOL', `no message within ${limitMs} ms`)), limitMs);
    const finish = (): void => {
      clearTimeout(timer);
      stream.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', fail);
    };
    const fail = (error: Error): void => {
      finish();
      reject(error);
    };
    const onEnd = (): void =>
      fail(stream.errored ?? new KtError('LINK_LOST', 'the stream ended before its first message'));
    const onReadable = (): void => {
      for (let chunk: Buffer | null = stream.read(); chunk !== null; chunk = stream.read()) {
        let message: ReturnType<MessageDecoder['push']>;
        try {
          message = decoder.push(chunk);
        } catch (error) {
          fail(error as Error);
          return;
        }
        if (message === undefined) continue;
        finish();
        if (message.rest.length > 0) stream.unshift(message.rest);
        resolve(message.value);
        return;
      }
    };
    stream.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', fail);
    if (stream.readableLength > 0) onReadable();
    // Over already: no event comes any more.
    else if (stream.destroyed || stream.readableEnded) onEnd();
  });
}
