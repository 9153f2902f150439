// GET pods/NAME/log: tailLines, limitBytes, sinceSeconds, timestamps, previous, follow. Called by api/server.ts.
import type { ServerResponse } from 'node:http';
import type { LogBuffer, LogLine } from '../pods/log-buffer.ts';
import type { Store } from '../store.ts';
import type { Pod } from '../types.ts';
import { PODS } from './resources.ts';
import type { Route } from './route.ts';
import { badRequest } from './status.ts';

export interface LogSource {
  /** Of the running container, or of the one before it. Undefined where it has never started. */
  logOf(podUid: string, container: string, previous: boolean): LogBuffer | undefined;
}

/** A reader who lets this much lie is cut off. */
const UNREAD_MAX_BYTES = 4 * 1024 * 1024;

const FLAG = /^(1|true)$/;

function containerOf(pod: Pod, asked: string | null): string {
  const names = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((one) => one.name);
  if (asked === null || asked === '') {
    if (pod.spec.containers.length > 1)
      throw badRequest(
        `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${pod.spec.containers.map((one) => one.name).join(' ')}]`,
      );
    return names[0] ?? '';
  }
  if (!names.includes(asked)) throw badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`);
  return asked;
}

/** Throws ApiError before anything is written. */
export function answerLog(store: Store, source: LogSource, route: Route, response: ServerResponse): void {
  const pod = store.mustGet(PODS, route.namespace, route.name ?? '');
  const query = route.query;
  const name = containerOf(pod, query.get('container'));
  const previous = FLAG.test(query.get('previous') ?? '');
  const log = source.logOf(pod.metadata.uid, name, previous);
  if (log === undefined) {
    if (previous) throw badRequest(`previous terminated container "${name}" in pod "${pod.metadata.name}" not found`);
    const waiting = pod.status.containerStatuses?.find((one) => one.name === name)?.state.waiting?.reason;
    const why = /^Err|BackOff/.test(waiting ?? '') ? "image can't be pulled" : (waiting ?? 'ContainerCreating');
    throw badRequest(`container "${name}" in pod "${pod.metadata.name}" is waiting to start: ${why}`);
  }
  const timestamps = FLAG.test(query.get('timestamps') ?? '');
  const format = (line: LogLine): string => (timestamps ? `${line.at.toISOString()} ${line.text}` : line.text);
  const since = query.get('sinceSeconds');
  const tail = query.get('tailLines');
  const limit = query.get('limitBytes');
  let lines = log.lines();
  if (since !== null) lines = lines.filter((line) => line.at.getTime() >= Date.now() - Number(since) * 1000);
  if (tail !== null) lines = Number(tail) > 0 ? lines.slice(-Number(tail)) : [];
  const text = lines.map(format).join('');
  response.writeHead(200, { 'content-type': 'text/plain' });
  const shown = limit === null ? text : Buffer.from(text).subarray(0, Number(limit)).toString('utf8');
  if (!FLAG.test(query.get('follow') ?? '')) {
    response.end(shown);
    return;
  }
  response.write(shown);
  response.flushHeaders();
  const stop = log.follow((line) => {
    if (line === undefined) response.end();
    else if (response.writableLength > UNREAD_MAX_BYTES) response.destroy();
    else response.write(format(line));
  });
  response.on('close', stop);
}
