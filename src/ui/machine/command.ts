// The command line of the screen (`:`): the same words as after `kt`, as far as they have a meaning here. Pure. Called by update.ts.
import type { ScreenData } from '../data.ts';
import { serviceRows } from '../views/services.model.ts';
import { type Field, type Form, form } from './form.ts';
import { openForm, openPlaces } from './form-update.ts';
import { forwardForm, holdForm, previewForm, recoverForm, releaseForm, unforwardForm } from './forms.ts';
import { askToQuit } from './quit.ts';
import { textField } from './text-field.ts';
import { type Ui, type Updated, VIEWS } from './ui.ts';
import { route, runDoctor } from './view-keys.ts';

/** Names of a command, for the message where there is none such. */
const COMMANDS = 'exchange, mesh, preview, forward, release, recover, route, ns, ctx, doctor, stop, quit';

export function runCommandLine(ui: Ui, text: string, data: ScreenData): Updated {
  const [command = '', ...words] = text.trim().replace(/^kt /, '').split(/\s+/);
  const no = (message: string): Updated => [{ ...ui, flash: { text: message, style: 'bad' } }, []];
  const [first] = words;
  const view = VIEWS.find((name) => name === command);
  if (view) return view === 'doctor' ? runDoctor({ ...ui, view }) : [{ ...ui, view, detail: false, record: null }, []];
  switch (command) {
    case '':
      return [ui, []];
    case 'exchange':
    case 'mesh': {
      const row = serviceRows(data, '').find(({ line }) => line.name === first);
      if (!row) return no(first === undefined ? `${command} which Service?` : `there is no Service ${first}`);
      return openForm(ui, filled(holdForm(command, row, data.state), words.slice(1)));
    }
    case 'preview':
      return openForm(ui, filled(previewForm(undefined, data.state), words));
    case 'forward': {
      const begun = forwardForm(undefined);
      return openForm(ui, filled(begun, first === undefined ? [] : [first, words.slice(1).join(' ')]));
    }
    case 'release': {
      if (first === undefined) return no('release what?');
      const held = data.state.holds.find(({ service }) => service === first);
      if (held) return openForm(ui, releaseForm(first, held.kind === 'preview'));
      const forward = data.state.forwards.find(({ local }) => local === first || local.endsWith(`:${first}`));
      return forward ? openForm(ui, unforwardForm(forward.local)) : no(`this session does not hold ${first}`);
    }
    case 'recover':
      return first === undefined ? no('recover what?') : openForm(ui, recoverForm(first));
    case 'route':
      return first === undefined ? no('route of which host?') : route(ui, first);
    case 'ns':
    case 'namespace':
      return first === undefined ? openPlaces(ui) : openForm(ui, switchForm(first, data.state.context ?? ''));
    case 'ctx':
    case 'context':
      return first === undefined ? openPlaces(ui) : openForm(ui, switchForm('', first));
    case 'help':
      return [{ ...ui, overlay: { type: 'help' } }, []];
    case 'stop':
      return askToQuit({ ...ui, owner: true }, data);
    case 'q':
    case 'quit':
      return askToQuit(ui, data);
    default:
      return no(`no command '${command}'; there are ${COMMANDS}`);
  }
}

function switchForm(namespace: string, context: string): Form {
  return form({
    kind: 'place',
    title: 'Go to another namespace or context',
    subject: namespace,
    about: ['The session here ends and one is opened there; what is held is given back first.'],
    fields: [
      {
        type: 'text',
        id: 'namespace',
        label: "namespace (empty: the context's)",
        field: textField(namespace),
        takes: 'mark',
      },
      { type: 'choice', id: 'context', label: 'context', options: [context], at: 0 },
    ].filter(({ id }) => id === 'context' || namespace !== '') as Field[],
  });
}

/** Text fields in their order take the words. */
function filled(begun: Form, words: readonly string[]): Form {
  const left = [...words];
  const fields = begun.fields.map((field): Field => {
    const word = field.type === 'text' ? left.shift() : undefined;
    return word === undefined || field.type !== 'text' ? field : { ...field, field: textField(word) };
  });
  return { ...begun, fields };
}
