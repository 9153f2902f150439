// An open form: what it does, its fields with what is wrong in them, the plan as the objects that will be written, steps while it runs,
// the error with its hint, and the command that would do the same. Pure.

import type { ScreenData } from '../data.ts';
import { type Field, type Form, fault } from '../machine/form.ts';
import { faultOf, hasPlan } from '../machine/forms.ts';
import { charactersOf, type TextField } from '../machine/text-field.ts';
import { EMPTY, type Line, line, pointer, type Span, span } from '../text/line.ts';
import { span as lasting } from '../text/units.ts';
import { wrap } from '../text/width.ts';

const INDENT = '   ';

export function formLines(form: Form, data: ScreenData, width: number, height: number): Line[] {
  const inner = width - INDENT.length * 2;
  const top = [
    line(INDENT, span(form.title, 'strong')),
    ...form.about.flatMap((text) => wrap(text, inner).map((part) => line(INDENT, span(part, 'dim')))),
    ...(form.fields.length === 0 ? [] : [EMPTY]),
    ...form.fields.map((field, at) => fieldLine(field, at === form.focus && form.stage === 'editing', form)),
  ];
  const bottom = form.problem === null ? [] : problemLines(form, inner);
  const middle = form.stage === 'running' ? stepLines(form, data) : planLines(form, inner);
  const room = Math.max(0, height - top.length - bottom.length);
  return [...top, ...middle.slice(0, room), ...bottom].slice(-Math.max(height, 1));
}

function fieldLine(field: Field, focused: boolean, form: Form): Line {
  const mark = pointer(focused);
  if (field.type === 'toggle')
    return line(mark, span(field.on ? '[x] ' : '[ ] ', focused ? 'picked' : 'plain'), field.label);
  if (field.type === 'choice')
    return line(
      mark,
      span(`${field.label}  `, 'dim'),
      span(field.options[field.at] ?? '–', focused ? 'picked' : 'plain'),
      span(field.options.length > 1 ? `  ← → ${field.at + 1} of ${field.options.length}` : '', 'dim'),
    );
  const wrong = fault(field);
  return line(
    mark,
    span(`${field.label}  `, 'dim'),
    ...written(field.field, focused),
    '  ',
    ...(wrong === undefined ? portNote(field, form) : [span(wrong, 'warn')]),
  );
}

/** With the cursor where it is written. */
export function written({ value, cursor }: TextField, focused: boolean): Span[] {
  if (!focused) return [span(value === '' ? '–' : value)];
  const characters = charactersOf(value);
  return [
    span(characters.slice(0, cursor).join(''), 'accent'),
    span(characters[cursor] ?? ' ', 'cursor'),
    span(characters.slice(cursor + 1).join(''), 'accent'),
  ];
}

function portNote(field: Extract<Field, { type: 'text' }>, { listening }: Form): Span[] {
  if (field.takes !== 'port' || field.id === 'remote') return [];
  if (field.words !== undefined) return [span('its pods say which', 'dim')];
  const port = Number(field.field.value);
  if (field.field.value === '') return [span('does not come here', 'dim')];
  if (listening === null) return [];
  return listening.includes(port)
    ? [span('✓ ', 'good'), span('something listens', 'dim')]
    : [span('✕ ', 'warn'), span(`nothing listens on :${port}`, 'warn')];
}

function planLines(form: Form, width: number): Line[] {
  if (!hasPlan(form)) return [];
  const { plan, planProblem } = form;
  if (planProblem)
    return [
      EMPTY,
      ...wrap(planProblem.message, width - 2).map((text, at) =>
        line(INDENT, span(at === 0 ? '✕ ' : '  ', 'bad'), span(text, 'bad')),
      ),
      ...(planProblem.hint === null ? [] : wrap(planProblem.hint, width - 2).map((text) => line(INDENT, `  ${text}`))),
    ];
  if (plan === null)
    return faultOf(form) === undefined ? [EMPTY, line(INDENT, span('asking what would be written…', 'dim'))] : [];
  return [
    EMPTY,
    line(INDENT, span(plan.joins ? 'Joins the agent that is there; nothing is written.' : 'Will be written', 'strong')),
    ...plan.steps.flatMap(({ text }, at) =>
      wrap(text, width - 4).map((part, row) => line(INDENT, span(row === 0 ? ` ${at + 1}  ` : '    ', 'dim'), part)),
    ),
    ...(plan.steps.length > 0 ? [line(INDENT, span('At the end all of it is undone, in reverse.', 'dim'))] : []),
    ...plan.warnings.flatMap((text) =>
      wrap(text, width - 2).map((part, row) => line(INDENT, span(row === 0 ? '! ' : '  ', 'warn'), part)),
    ),
  ];
}

/** The steps of this Service while it is taken or given back. */
function stepLines(form: Form, { steps, now }: ScreenData): Line[] {
  const own = steps.filter(({ id }) => id === form.subject || form.kind === 'preview' || form.kind === 'place');
  return [
    EMPTY,
    ...(own.length === 0 ? [line(INDENT, span('◐ ', 'warn'), 'asked for it…')] : []),
    ...own.map(({ text, waiting, at }) =>
      line(
        INDENT,
        span('◐ ', 'warn'),
        text,
        span(waiting === null ? '' : `: ${waiting}`, 'warn'),
        span(`  ${lasting(at, now)}`, 'dim'),
      ),
    ),
  ];
}

function problemLines({ problem }: Form, width: number): Line[] {
  if (!problem) return [];
  return [
    EMPTY,
    ...wrap(problem.message, width - 2).map((text, at) =>
      line(INDENT, span(at === 0 ? '✕ ' : '  ', 'bad'), span(text, 'bad')),
    ),
    ...(problem.hint === null ? [] : wrap(problem.hint, width - 2).map((text) => line(INDENT, `  ${text}`))),
    line(INDENT, span(`  ${problem.code}`, 'dim')),
  ];
}

/** For the line of hints. */
export function formKeys(form: Form): (readonly [key: string, what: string])[] {
  if (form.stage === 'running') return [['esc', 'close; it goes on']];
  return [
    ['enter', form.problem ? 'try again' : 'do it'],
    ...(form.fields.length > 1 ? [['tab', 'next field'] as const] : []),
    ...(form.fields.some(({ type }) => type === 'toggle') ? [['space', 'tick'] as const] : []),
    ['esc', 'cancel'],
  ];
}
