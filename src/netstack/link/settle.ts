// The answer to an opened mux stream: takes the status off its front and leaves what follows to whoever reads the stream.
// Either end of a link may open; called by agent-dialer.ts on the laptop and by agent/ingress/laptop.ts in the cluster.
import { asKtError, KtError } from '../../errors.ts';
import type { MuxStream } from '../mux/stream.ts';
import { MessageDecoder, parseOpenStatus } from '../stream/header.codec.ts';

/**
 * Resolves when the other end said yes. Rejects with its refusal, DIAL_TIMEOUT after `limitMs`, CANCELLED on `signal`, or LINK_LOST, and the
 * stream is destroyed then. Never an unhandled rejection.
 */
export function settle(stream: MuxStream, limitMs: number, signal: AbortSignal | undefined): Promise<void> {
  const opened = new Promise<void>((resolve, reject) => {
    const decoder = new MessageDecoder();
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      stream.off('error', fail).off('close', onClose);
    };
    const fail = (error: Error): void => {
      finish();
      reject(asKtError(error, 'LINK_LOST'));
      // Keep an error listener for good: a refused dial must not become an uncaught exception.
      stream.on('error', () => undefined);
      stream.destroy(error);
    };
    const onClose = (): void =>
      fail(stream.errored ?? new KtError('LINK_LOST', 'the stream closed before the other end answered'));
    const cancel = (): void => fail(new KtError('CANCELLED', 'the dial was cancelled'));
    const timer = setTimeout(
      () => fail(new KtError('DIAL_TIMEOUT', `no answer from the other end of the link within ${limitMs} ms`)),
      limitMs,
    );
    stream.on('error', fail).on('close', onClose);
    stream.takePrefix((chunk) => {
      try {
        const message = decoder.push(chunk);
        if (message === undefined) return undefined;
        const status = parseOpenStatus(message.value);
        if (!status.ok) throw new KtError(status.code, status.message);
        finish();
        resolve();
        return message.rest;
      } catch (error) {
        fail(error as Error);
        return Buffer.alloc(0);
      }
    });
    if (signal?.aborted) cancel();
    else signal?.addEventListener('abort', cancel, { once: true });
  });
  opened.catch(() => undefined);
  return opened;
}
