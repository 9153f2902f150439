// Label selectors (`a=b,c in (d,e),!f`) and the few field selectors that the playground knows, as the API server reads them.
// Parsing and matching only; sans-io. Used by list, watch, deletecollection and the controllers.

import type { ApiObject, Labels } from '../types.ts';
import { qualifiedName, type ResourceType } from './resources.ts';
import { badRequest } from './status.ts';

export type Matcher = (object: ApiObject) => boolean;

type LabelTest = (labels: Labels) => boolean;

const KEY = String.raw`[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?`;
const SET_FORM = new RegExp(String.raw`^(${KEY})\s+(in|notin)\s*\(([^()]*)\)$`);
const EQUAL_FORM = new RegExp(String.raw`^(${KEY})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)$`);
const EXISTS_FORM = new RegExp(String.raw`^(!?)\s*(${KEY})$`);

function parseOne(text: string): LabelTest {
  const set = SET_FORM.exec(text);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    return operator === 'in'
      ? (labels) => Object.hasOwn(labels, key) && values.includes(labels[key] ?? '')
      : (labels) => !Object.hasOwn(labels, key) || !values.includes(labels[key] ?? '');
  }
  const equal = EQUAL_FORM.exec(text);
  if (equal !== null) {
    const [, key = '', operator, value] = equal;
    return operator === '!=' ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
  }
  const exists = EXISTS_FORM.exec(text);
  if (exists !== null) {
    const [, not, key = ''] = exists;
    return (labels) => Object.hasOwn(labels, key) === (not === '');
  }
  const found = /^\S+\s+(\S+)/.exec(text)?.[1] ?? text;
  throw badRequest(`unable to parse requirement: found '${found}', expected: in, notin, =, ==, !=, gt, lt`);
}

/** Throws 400. An empty selector matches everything. */
export function parseLabelSelector(text: string): Matcher {
  const tests = text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseOne);
  return (object) => tests.every((test) => test(object.metadata.labels ?? {}));
}

/** Unlike the text form: an empty selector of a Service or Deployment matches nothing. */
export function matchesLabels(selector: Labels | undefined, labels: Labels | undefined): boolean {
  const entries = Object.entries(selector ?? {});
  return entries.length > 0 && entries.every(([key, value]) => labels?.[key] === value);
}

const EVERY_RESOURCE = ['metadata.name', 'metadata.namespace'];
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  pods: ['spec.nodeName', 'spec.restartPolicy', 'status.phase', 'status.podIP'],
  events: [
    'involvedObject.kind',
    'involvedObject.name',
    'involvedObject.namespace',
    'involvedObject.uid',
    'reason',
    'type',
  ],
  secrets: ['type'],
  namespaces: ['status.phase'],
  services: ['spec.clusterIP', 'spec.type'],
};

function valueAt(object: unknown, path: string): string {
  let value = object;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null) return '';
    value = (value as Record<string, unknown>)[step];
  }
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Throws 400 on a field that the real API server would not select `type` by either. */
export function parseFieldSelector(type: ResourceType, text: string): Matcher {
  const tests = text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part): Matcher => {
      const match = /^([^=!]+?)\s*(==|=|!=)\s*(.*)$/.exec(part.trim());
      if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
      const [, field = '', operator, wanted] = match;
      if (![...EVERY_RESOURCE, ...(FIELDS[qualifiedName(type)] ?? [])].includes(field))
        throw badRequest(`field label not supported: ${field}`);
      return (object) => (valueAt(object, field) === wanted) === (operator !== '!=');
    });
  return (object) => tests.every((test) => test(object));
}
