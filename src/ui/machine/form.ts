// A form: fields with a focus, a plan that follows what is written, and what came of it. Pure. What each form is for: forms.ts.
import type { PlacesAnswer, PlanAnswer } from '../../session/actions.ts';
import { type TextField, textField, typed } from './text-field.ts';

export type FormKind = 'exchange' | 'mesh' | 'preview' | 'forward' | 'release' | 'recover' | 'unforward' | 'place';

export type Field =
  | {
      readonly type: 'text';
      readonly id: string;
      readonly label: string;
      readonly field: TextField;
      /** What it may hold: `port` also nothing. */
      readonly takes: 'port' | 'name' | 'text' | 'mark';
      /** What --expose is told while the number is not known: the plan says it. Void once something is typed. */
      readonly words?: readonly string[];
    }
  | { readonly type: 'toggle'; readonly id: string; readonly label: string; readonly on: boolean }
  | {
      readonly type: 'choice';
      readonly id: string;
      readonly label: string;
      readonly options: readonly string[];
      readonly at: number;
    };

/** What was refused, and the next step. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

export interface Form {
  readonly kind: FormKind;
  readonly title: string;
  /** What it does, in sentences. */
  readonly about: readonly string[];
  /** The Service, or what else it is about. */
  readonly subject: string;
  readonly fields: readonly Field[];
  readonly focus: number;
  readonly stage: 'editing' | 'running';
  /** Question of the plan that counts; answers to others are late. */
  readonly planId: number;
  readonly plan: PlanAnswer | null;
  readonly planProblem: Problem | null;
  /** Local ports that something listens on; null: not asked yet. */
  readonly listening: readonly number[] | null;
  readonly listenId: number;
  /** The question whose answer ends the form. */
  readonly runId: number;
  readonly problem: Problem | null;
  readonly places: PlacesAnswer | null;
}

export function form(parts: Pick<Form, 'kind' | 'title' | 'subject'> & Partial<Form>): Form {
  return {
    about: [],
    fields: [],
    focus: 0,
    stage: 'editing',
    planId: 0,
    plan: null,
    planProblem: null,
    listening: null,
    listenId: 0,
    runId: 0,
    problem: null,
    places: null,
    ...parts,
  };
}

export const text = (
  id: string,
  label: string,
  value: string,
  takes: 'port' | 'name' | 'text' | 'mark',
  words?: readonly string[],
): Field => ({ type: 'text', id, label, field: textField(value), takes, ...(words ? { words } : {}) });
export const toggle = (id: string, label: string, on = false): Field => ({ type: 'toggle', id, label, on });

export function valueOf(form_: Form, id: string): string {
  const field = form_.fields.find((one) => one.id === id);
  if (field?.type === 'text') return field.field.value.trim();
  if (field?.type === 'choice') return field.options[field.at] ?? '';
  return '';
}

export const isOn = (form_: Form, id: string): boolean =>
  form_.fields.some((field) => field.id === id && field.type === 'toggle' && field.on);

/** The form after a key that moves in it or changes a field; undefined: the key is not for a field. */
export function edited(form_: Form, key: string): Form | undefined {
  const count = form_.fields.length;
  if (count === 0) return undefined;
  if (key === 'tab' || key === 'down') return { ...form_, focus: (form_.focus + 1) % count };
  if (key === 'shift-tab' || key === 'up') return { ...form_, focus: (form_.focus + count - 1) % count };
  const field = form_.fields[form_.focus];
  if (field === undefined) return undefined;
  const changed = fieldAfter(field, key);
  if (changed === field) return form_;
  return { ...form_, problem: null, fields: form_.fields.with(form_.focus, changed) };
}

function fieldAfter(field: Field, key: string): Field {
  if (field.type === 'toggle') return key === ' ' || key === 'x' ? { ...field, on: !field.on } : field;
  if (field.type === 'choice') {
    const step = key === 'right' || key === ' ' ? 1 : key === 'left' ? -1 : 0;
    const count = field.options.length;
    return step === 0 || count === 0 ? field : { ...field, at: (field.at + step + count) % count };
  }
  const after = typed(field.field, key);
  if (after === field.field) return field;
  if (field.takes === 'port' && !/^\d{0,5}$/.test(after.value)) return field;
  if (field.takes === 'name' && !/^[a-z0-9.-]{0,63}$/.test(after.value)) return field;
  const { words: _, ...rest } = field;
  return { ...rest, field: after };
}

/** What a field lacks, in words; undefined: nothing. */
export function fault(field: Field): string | undefined {
  if (field.type !== 'text') return undefined;
  const value = field.field.value.trim();
  if (field.takes === 'port' && value !== '' && !(Number(value) >= 1 && Number(value) <= 65_535))
    return 'a port is 1 to 65535';
  if (field.takes === 'name' && value === '') return 'a name is needed';
  if (field.takes === 'mark' && (value === '' || value.endsWith(':'))) return 'NAME:VALUE, or a value for VERSION';
  if (field.takes === 'text' && value === '') return 'something is needed here';
  return undefined;
}
