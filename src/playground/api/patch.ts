// The patch formats of the API server: JSON merge patch (RFC 7396), JSON patch (RFC 6902), and strategic merge, which is merge plus the
// keyed lists that matter here (containers, env, volumes by name; ports by number). Works on copies; sans-io.
import { isDeepStrictEqual } from 'node:util';
import { rejectedPatch } from './status.ts';

/** More operations than any client of ours sends; the real limit is 10,000. */
const OPERATIONS_MAX = 1_000;

type Json = unknown;
type Fields = Record<string, Json>;

function isFields(value: Json): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A key that would reach an object's prototype is no field of any Kubernetes object. */
function safe(key: string): string {
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') throw rejectedPatch();
  return key;
}

export function mergePatch(target: Json, patch: Json): Json {
  if (!isFields(patch)) return patch;
  const result: Fields = isFields(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    // Own fields only: `constructor` may be a key of a patch, and must not find the object's own.
    if (key === '__proto__') throw rejectedPatch();
    if (value === null) delete result[key];
    else result[key] = mergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value);
  }
  return result;
}

const LIST_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['containers', ['name']],
  ['initContainers', ['name']],
  ['env', ['name']],
  ['volumes', ['name']],
  ['volumeMounts', ['mountPath']],
  ['ports', ['containerPort', 'port']],
  ['ownerReferences', ['uid']],
]);

function mergeList(field: string, target: readonly Json[], patch: readonly Json[]): Json[] {
  const key = LIST_KEYS.get(field)?.find((name) =>
    patch.every((item) => isFields(item) && (name in item || '$patch' in item)),
  );
  if (key === undefined) return patch.map((item) => strategicMergePatch(undefined, item));
  const result = [...target];
  for (const item of patch) {
    if (!isFields(item)) continue;
    if (item['$patch'] === 'replace') return patch.filter((other) => other !== item);
    const at = result.findIndex((known) => isFields(known) && isDeepStrictEqual(known[key], item[key]));
    if (item['$patch'] === 'delete') {
      if (at >= 0) result.splice(at, 1);
    } else if (at >= 0) result[at] = strategicMergePatch(result[at], item);
    else result.push(strategicMergePatch(undefined, item));
  }
  return result;
}

/** `$setElementOrder` and `$retainKeys` are read over: the order of lists is kept as it was. */
export function strategicMergePatch(target: Json, patch: Json): Json {
  if (!isFields(patch)) return patch;
  if (patch['$patch'] === 'replace')
    return Object.fromEntries(Object.entries(patch).filter(([key]) => key !== '$patch'));
  const result: Fields = isFields(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice(key.indexOf('/') + 1);
      const list = result[field];
      if (Array.isArray(list) && Array.isArray(value)) result[field] = list.filter((item) => !value.includes(item));
    } else if (key.startsWith('$')) continue;
    else if (value === null) delete result[key];
    else if (Array.isArray(value)) {
      const known = result[key];
      result[safe(key)] = mergeList(key, Array.isArray(known) ? known : [], value);
    } else result[safe(key)] = strategicMergePatch(result[key], value);
  }
  return result;
}

function steps(pointer: Json): string[] {
  if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/'))) throw rejectedPatch();
  return pointer
    .split('/')
    .slice(1)
    .map((step) => safe(step.replaceAll('~1', '/').replaceAll('~0', '~')));
}

function index(list: readonly Json[], step: string, insert: boolean): number {
  if (insert && step === '-') return list.length;
  const at = /^(0|[1-9]\d*)$/.test(step) ? Number(step) : -1;
  if (at < 0 || at > list.length - (insert ? 0 : 1)) throw rejectedPatch();
  return at;
}

function read(document: Json, path: readonly string[]): Json {
  let value = document;
  for (const step of path) {
    if (Array.isArray(value)) value = value[index(value, step, false)];
    else if (isFields(value) && Object.hasOwn(value, step)) value = value[step];
    else throw rejectedPatch();
  }
  return value;
}

function edit(document: Json, path: readonly string[], act: (parent: Fields | Json[], last: string) => void): Json {
  const [last, ...before] = [...path].reverse();
  if (last === undefined) throw rejectedPatch();
  const parent = read(document, before.reverse());
  if (!isFields(parent) && !Array.isArray(parent)) throw rejectedPatch();
  act(parent, last);
  return document;
}

function add(document: Json, path: readonly string[], value: Json): Json {
  if (path.length === 0) return value;
  return edit(document, path, (parent, last) => {
    if (Array.isArray(parent)) parent.splice(index(parent, last, true), 0, value);
    else parent[last] = value;
  });
}

function remove(document: Json, path: readonly string[]): Json {
  read(document, path);
  return edit(document, path, (parent, last) => {
    if (Array.isArray(parent)) parent.splice(index(parent, last, false), 1);
    else delete parent[last];
  });
}

/** Throws 422 as the API server does: on a failed `test`, a path that is not there, or anything malformed. Changes nothing then. */
export function jsonPatch(target: Json, operations: Json): Json {
  if (!Array.isArray(operations) || operations.length > OPERATIONS_MAX) throw rejectedPatch();
  let document = structuredClone(target);
  for (const operation of operations as readonly Json[]) {
    if (!isFields(operation)) throw rejectedPatch();
    const path = steps(operation['path']);
    const value = structuredClone(operation['value']);
    switch (operation['op']) {
      case 'add':
        document = add(document, path, value);
        break;
      case 'remove':
        document = remove(document, path);
        break;
      case 'replace':
        read(document, path);
        document =
          path.length === 0 ? value : add(isListItem(document, path) ? remove(document, path) : document, path, value);
        break;
      case 'test':
        if (!isDeepStrictEqual(read(document, path), value)) throw rejectedPatch();
        break;
      case 'move':
      case 'copy': {
        const from = steps(operation['from']);
        const moved = structuredClone(read(document, from));
        document = add(operation['op'] === 'move' ? remove(document, from) : document, path, moved);
        break;
      }
      default:
        throw rejectedPatch();
    }
  }
  return document;
}

function isListItem(document: Json, path: readonly string[]): boolean {
  return Array.isArray(read(document, path.slice(0, -1)));
}
