// What keys and answers do to the open form: fields, the plan that follows them, the start, and the end. Pure. Called by update.ts.
import type { PlanAnswer } from '../../session/actions.ts';
import type { ScreenData } from '../data.ts';
import { edited, type Form, type Problem } from './form.ts';
import { actionOf, commandOf, faultOf, hasPlan, localPorts, placeForm, wishOf, withPlan } from './forms.ts';
import type { Effect, Message, Ui, Updated } from './ui.ts';

/** Opens it and asks for what it shows. */
export function openForm(ui: Ui, form: Form): Updated {
  const opened: Ui = { ...ui, sameAs: null };
  return asked(opened, form);
}

export function openPlaces(ui: Ui): Updated {
  return [
    { ...ui, next: ui.next + 1, flash: { text: 'asking for contexts and namespaces…', style: 'plain' } },
    [{ type: 'act', id: ui.next, action: { kind: 'places' } }],
  ];
}

const withForm = (ui: Ui, form: Form): Ui => ({ ...ui, overlay: { type: 'form', form } });

/** The plan and the local ports of what is written now. */
function asked(ui: Ui, form: Form): Updated {
  if (!hasPlan(form) || faultOf(form) !== undefined)
    return [withForm(ui, { ...form, plan: null, planId: 0, planProblem: null }), []];
  const [planId, listenId] = [ui.next, ui.next + 1];
  const effects: Effect[] = [
    { type: 'act', id: planId, action: { kind: 'plan', hold: wishOf(form) } },
    { type: 'act', id: listenId, action: { kind: 'listening', ports: localPorts(form) } },
  ];
  return [withForm({ ...ui, next: ui.next + 2 }, { ...form, planId, listenId }), effects];
}

export function keyInForm(ui: Ui, form: Form, key: string, data: ScreenData): Updated {
  if (key === 'esc') {
    const text = form.stage === 'running' ? `${form.title} goes on` : null;
    return [{ ...ui, overlay: null, flash: text === null ? null : { text, style: 'plain' } }, []];
  }
  if (form.stage === 'running') return [ui, []];
  if (key === 'enter') return start(ui, form, data);
  const changed = edited(form, key);
  if (changed === undefined || changed === form) return [ui, []];
  if (changed.fields === form.fields || !hasPlan(form)) return [withForm(ui, changed), []];
  // Asked when nothing was typed for a moment: each plan is some questions to the API server.
  const id = ui.next;
  return [withForm({ ...ui, next: id + 1 }, { ...changed, planId: id }), [{ type: 'settle', id }]];
}

export function settleForm(ui: Ui, id: number): Updated {
  const form = formOf(ui);
  return form?.planId === id && form.stage === 'editing' ? asked(ui, form) : [ui, []];
}

function start(ui: Ui, form: Form, { state }: ScreenData): Updated {
  const fault = faultOf(form) ?? (form.planProblem === null ? undefined : form.planProblem.message);
  if (fault !== undefined) {
    const problem: Problem = form.planProblem ?? { code: 'USAGE', message: fault, hint: null };
    return [withForm(ui, { ...form, problem }), []];
  }
  if (form.kind === 'place' && state.phase === 'ended') return [ui, []];
  const runId = ui.next;
  const running: Form = { ...form, stage: 'running', runId, problem: null };
  return [
    { ...withForm(ui, running), next: runId + 1, sameAs: commandOf(form) },
    [{ type: 'act', id: runId, action: actionOf(form) }],
  ];
}

const formOf = (ui: Ui): Form | undefined => (ui.overlay?.type === 'form' ? ui.overlay.form : undefined);

/** undefined: the answer is not the form's. */
export function answerForm(
  ui: Ui,
  { id, value }: Extract<Message, { type: 'answer' }>,
  data: ScreenData,
): Updated | undefined {
  if (value.kind === 'places') return [{ ...withForm(ui, placeForm(value.places, data.state)), flash: null }, []];
  const form = formOf(ui);
  if (!form) return undefined;
  if (value.kind === 'plan') return id === form.planId ? planned(ui, form, value.plan) : [ui, []];
  if (value.kind === 'listening')
    return [id === form.listenId ? withForm(ui, { ...form, listening: value.ports }) : ui, []];
  if (id !== form.runId || value.kind !== 'done') return undefined;
  return [{ ...ui, overlay: null, flash: { text: value.text, style: 'good' } }, []];
}

/** Local ports that came with the plan are looked at as those that were typed. */
function planned(ui: Ui, form: Form, plan: PlanAnswer): Updated {
  const told = withPlan(form, plan);
  const ports = localPorts(told);
  if (ports.join(' ') === localPorts(form).join(' ')) return [withForm(ui, told), []];
  const listenId = ui.next;
  return [
    withForm({ ...ui, next: listenId + 1 }, { ...told, listenId }),
    [{ type: 'act', id: listenId, action: { kind: 'listening', ports } }],
  ];
}

export function refuseForm(ui: Ui, { id, problem }: Extract<Message, { type: 'refused' }>): Updated | undefined {
  const form = formOf(ui);
  if (!form) return undefined;
  if (id === form.planId) return [withForm(ui, { ...form, plan: null, planProblem: problem }), []];
  if (id === form.listenId) return [ui, []];
  // What failed stays to be read and tried again; nothing is left in the cluster but what the message names.
  if (id === form.runId) return [withForm(ui, { ...form, stage: 'editing', problem, runId: 0 }), []];
  return undefined;
}
