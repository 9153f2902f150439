// The screen's machine without a screen: keys and answers in, the next state and what is asked for out.
import { describe, expect, test } from 'vitest';
import type { ServiceLine } from '../../src/session/overview.ts';
import { initialState, type SessionState } from '../../src/session/state.ts';
import type { ScreenData } from '../../src/ui/data.ts';
import { keyName } from '../../src/ui/key-name.ts';
import { moved, pickedIndex, windowTop } from '../../src/ui/machine/list.ts';
import { textField, typed } from '../../src/ui/machine/text-field.ts';
import { type Effect, type Message, startUi, type Ui } from '../../src/ui/machine/ui.ts';
import { update } from '../../src/ui/machine/update.ts';
import { lineText } from '../../src/ui/text/line.ts';
import { bodyLines } from '../../src/ui/views/body.model.ts';
import { bottomLines, topLines } from '../../src/ui/views/frame.model.ts';

const service = (name: string, more: Partial<ServiceLine> = {}): ServiceLine => ({
  name,
  type: 'ClusterIP',
  ports: [{ port: 80, name: 'web', protocol: 'TCP', targetPort: 8080 }],
  ready: 2,
  originReady: null,
  state: 'normal',
  by: [],
  notes: [],
  ...more,
});
const leo = { user: 'leo', host: 'pc', mark: null, since: null, live: true, tool: 'kt' } as const;
const HELD: SessionState['holds'][number] = {
  service: 'orders',
  kind: 'exchange',
  mark: null,
  ports: [{ port: 80, local: 8080, protocol: 'TCP' }],
  since: '2026-01-01T10:00:00.000Z',
  link: 'up',
  linkReason: null,
  evictedBy: null,
  kept: [],
};

function dataOf(
  state: Partial<SessionState> = {},
  lines: readonly ServiceLine[] = [service('orders'), service('stock')],
): ScreenData {
  return {
    state: {
      ...initialState,
      phase: 'ready',
      namespace: 'shop',
      context: 'staging',
      user: 'anna',
      host: 'lap',
      as: 'dev',
      link: 'up',
      mode: 'agent',
      ...state,
    },
    namespace: { lines, connected: [], seen: true, trouble: null },
    traffic: { records: [], dropped: 0, limit: 2_000, pausedNew: 0 },
    log: [],
    received: [],
    sent: [],
    roundTrips: [],
    linkDownAt: null,
    apiDownAt: null,
    steps: [],
    now: Date.parse('2026-01-01T10:05:00.000Z'),
  };
}

/** A screen that keys are typed into. */
class Typist {
  ui: Ui;
  data: ScreenData;
  asked: Effect[] = [];

  constructor(data = dataOf(), owner = true) {
    this.ui = startUi(owner, 100, 30);
    this.data = data;
  }

  send(message: Message): void {
    const [ui, effects] = update(this.ui, message, this.data);
    this.ui = ui;
    this.asked = [...effects];
  }

  keys(...keys: readonly string[]): this {
    for (const key of keys) this.send({ type: 'key', key });
    return this;
  }

  text(): string {
    return [...topLines(this.ui, this.data), ...bodyLines(this.ui, this.data), ...bottomLines(this.ui, this.data)]
      .map(lineText)
      .join('\n');
  }
}

describe('parts', () => {
  test('a field is edited by characters as people count them', () => {
    const keys = (start: string, ...pressed: string[]): string => pressed.reduce(typed, textField(start)).value;
    expect(keys('訂單', 'backspace')).toBe('訂');
    expect(keys('ab', 'left', 'x')).toBe('axb');
    expect(keys('one two', 'ctrl-w', 'x')).toBe('one x');
    expect(keys('abc', 'home', 'delete', 'end', 'ctrl-u')).toBe('');
    expect(keys('a', 'up', 'enter', 'ctrl-q', 'tab')).toBe('a');
    expect(typed(textField('x'.repeat(500)), 'y').value).toHaveLength(500);
  });

  test('the cursor stays on its item when the list changes, and on its row where that is gone', () => {
    const list = moved({ picked: 'b', top: 0 }, 'down', ['a', 'b', 'c'], 10);
    expect(list?.picked).toBe('c');
    expect(pickedIndex({ picked: 'c', top: 0 }, ['0', 'a', 'b', 'c'])).toBe(3);
    expect(pickedIndex({ picked: 'gone', top: 0 }, ['a', 'b'], 5)).toBe(1);
    expect(pickedIndex({ picked: undefined, top: 0 }, [])).toBe(-1);
    expect(windowTop(0, 12, 10, 20)).toBe(3);
    expect(windowTop(15, 2, 10, 20)).toBe(2);
    expect(windowTop(15, 19, 10, 12)).toBe(2);
  });

  test('keys that come in one piece are single keys', () => {
    const none = {
      upArrow: false,
      downArrow: false,
      leftArrow: false,
      rightArrow: false,
      pageDown: false,
      pageUp: false,
      home: false,
      end: false,
      return: false,
      escape: false,
      ctrl: false,
      shift: false,
      tab: false,
      backspace: false,
      delete: false,
      meta: false,
      super: false,
      hyper: false,
      capsLock: false,
      numLock: false,
    };
    expect(keyName('/ab\r\u007f\u0003', none)).toEqual(['/', 'a', 'b', 'enter', 'backspace', 'ctrl-c']);
    expect(keyName('', { ...none, return: true })).toEqual(['enter']);
    expect(keyName('x'.repeat(600), none)).toHaveLength(500);
  });
});

describe('forms', () => {
  test('a named target port: the plan says its number, and what listens there is asked; ports with one target are one field', () => {
    const ports = [
      { port: 80, name: 'http', protocol: 'TCP', targetPort: 'web' },
      { port: 443, name: 'https', protocol: 'TCP', targetPort: 'web' },
      { port: 9090, name: 'metrics', protocol: 'TCP', targetPort: 9090 },
    ];
    const typist = new Typist(dataOf({}, [service('orders', { ports })])).keys('e');
    expect(typist.asked).toMatchObject([
      { action: { kind: 'plan', hold: { ports: ['http', 'https', '9090'] } } },
      { action: { kind: 'listening', ports: [9090] } },
    ]);
    const text = typist.text();
    expect(text).toMatch(/80 http, 443 https → web → local port {2} +its pods say which/);
    const { id } = typist.asked[0] as { id: number };
    const held = [
      { port: 80, local: 8080, protocol: 'TCP' },
      { port: 443, local: 8080, protocol: 'TCP' },
      { port: 9090, local: 9090, protocol: 'TCP' },
    ] as const;
    const plan = { service: 'orders', kind: 'exchange', ports: held, joins: false, steps: [], warnings: [] } as const;
    typist.send({ type: 'answer', id, value: { kind: 'plan', plan } });
    expect(typist.asked).toMatchObject([{ action: { kind: 'listening', ports: [8080, 9090] } }]);
    expect(typist.text()).toMatch(/443 https → web → local port {2}8080/);
    expect(typist.text()).toContain('same as: kt exchange orders --expose 8080:80,8080:443,9090');
    typist.keys(...Array.from({ length: 4 }, () => 'backspace'), 'down', 'enter');
    expect(typist.asked).toMatchObject([{ action: { kind: 'hold', hold: { ports: ['9090'] } } }]);
  });

  test('a named target port that the user says first stays as it was typed', () => {
    const ports = [{ port: 80, name: null, protocol: 'TCP', targetPort: 'web' }];
    const typist = new Typist(dataOf({}, [service('orders', { ports })])).keys('e', '9', '0');
    const settle = typist.asked[0] as Extract<Effect, { type: 'settle' }>;
    typist.send({ type: 'settled', id: settle.id });
    expect(typist.asked).toMatchObject([{ action: { hold: { ports: ['90:80'] } } }, { action: { ports: [90] } }]);
    typist.keys('backspace', 'backspace', 'enter');
    expect(typist.text()).toContain('no port comes here');
  });

  test('exchange: plan and local ports are asked at once, again when typing stops, and the answer of the last counts', () => {
    const typist = new Typist().keys('e');
    expect(typist.asked).toMatchObject([
      { type: 'act', action: { kind: 'plan', hold: { kind: 'exchange', service: 'orders', ports: ['8080:80'] } } },
      { type: 'act', action: { kind: 'listening', ports: [8080] } },
    ]);
    const [late] = typist.asked;
    typist.keys('backspace');
    expect(typist.asked).toMatchObject([{ type: 'settle' }]);
    const settle = typist.asked[0] as Extract<Effect, { type: 'settle' }>;
    typist.send({
      type: 'answer',
      id: (late as { id: number }).id,
      value: {
        kind: 'plan',
        plan: {
          service: 'orders',
          kind: 'exchange',
          ports: [],
          joins: false,
          steps: [{ text: 'LATE', undo: '' }],
          warnings: [],
        },
      },
    });
    expect(typist.text()).not.toContain('LATE');
    typist.send({ type: 'settled', id: settle.id });
    expect(typist.asked).toMatchObject([{ action: { hold: { ports: ['808:80'] } } }, { action: { ports: [808] } }]);
    typist.keys('enter');
    expect(typist.asked).toMatchObject([{ type: 'act', action: { kind: 'hold' } }]);
    expect(typist.text()).toContain('same as: kt exchange orders --expose 808:80');
    const { id } = typist.asked[0] as { id: number };
    typist.send({
      type: 'refused',
      id,
      problem: { code: 'SERVICE_HELD', message: 'leo on pc holds it', hint: 'take it with --take-over' },
    });
    const text = typist.text();
    expect(text).toContain('✕ leo on pc holds it');
    expect(text).toContain('take it with --take-over');
    expect(text).toContain('enter try again');
    typist.keys('enter');
    typist.send({
      type: 'answer',
      id: (typist.asked[0] as { id: number }).id,
      value: { kind: 'done', text: 'orders is here' },
    });
    expect(typist.ui.overlay).toBeNull();
    expect(typist.text()).toContain('✓ orders is here');
  });

  test('a closed form goes on, and its late refusal is still told', () => {
    const typist = new Typist().keys('e', 'enter');
    const { id } = typist.asked[0] as { id: number };
    typist.keys('esc');
    typist.send({ type: 'refused', id, problem: { code: 'AGENT_START', message: 'no image', hint: null } });
    expect(typist.text()).toContain('✕ no image');
  });

  test('take over is offered where others hold it, and only there', () => {
    const typist = new Typist(dataOf({}, [service('orders', { state: 'exchanged', by: [leo] }), service('stock')]));
    typist.keys('t');
    expect(typist.text()).toContain('Take orders over');
    expect(typist.text()).toContain('[x] take over from leo@pc; they are told');
    expect(typist.text()).toContain('--take-over');
    typist.keys('esc', 'down', 't');
    expect(typist.text()).toContain('nobody holds stock: e exchanges it');
    typist.keys('r');
    expect(typist.text()).toContain('nobody holds stock');
  });

  test('release of what is mine, recover of what a lost laptop left', () => {
    const typist = new Typist(dataOf({ holds: [HELD] })).keys('r');
    expect(typist.text()).toContain('Release orders');
    typist.keys('enter');
    expect(typist.asked).toMatchObject([{ action: { kind: 'release', service: 'orders' } }]);
    const away = new Typist(
      dataOf({}, [service('orders', { state: 'exchanged', by: [{ ...leo, live: false }] })]),
    ).keys('r');
    expect(away.text()).toContain('same as: kt recover orders');
  });

  test('commands of the command line fill the same forms', () => {
    const typist = new Typist();
    const run = (text: string): string => {
      typist.keys('esc', ':', ...Array.from(text), 'enter');
      return typist.text();
    };
    expect(run('mesh stock x-lane:anna 9000')).toContain(
      'same as: kt mesh stock --versionMark x-lane:anna --expose 9000:80',
    );
    expect(run('forward db 15432:5432')).toContain('same as: kt forward db 15432:5432');
    expect(run('preview new 80 3000')).toContain('same as: kt preview new --expose 3000:80');
    expect(run('exchange nothing')).toContain('there is no Service nothing');
    expect(run('ns other')).toContain('--namespace other');
    expect(run('release 8080')).toContain('this session does not hold 8080');
    run('route stock');
    expect(typist.asked).toMatchObject([{ action: { kind: 'route', host: 'stock' } }]);
  });
});

describe('leaving', () => {
  test('at once where nobody notices; after a question that says who would', () => {
    expect(new Typist().keys('q').asked).toEqual([{ type: 'quit', stop: true }]);
    const typist = new Typist(
      dataOf({ holds: [HELD], forwards: [{ local: '127.0.0.1:1', remote: 'db:1', protocol: 'TCP' }] }),
    ).keys('q');
    expect(typist.asked).toEqual([]);
    expect(typist.text()).toContain('orders goes back to its original pods');
    expect(typist.text()).toContain('1 forwarded port closes');
    typist.keys('esc');
    expect(typist.ui.overlay).toBeNull();
    expect(typist.keys('ctrl-c', 'ctrl-c').asked).toEqual([{ type: 'quit', stop: true }]);
  });

  test('a screen that only looks leaves without a question', () => {
    expect(new Typist(dataOf({ holds: [HELD] }), false).keys('q').asked).toEqual([{ type: 'quit', stop: false }]);
    expect(new Typist(dataOf({ holds: [HELD] }), false).keys(':', ...Array.from('stop'), 'enter').text()).toContain(
      'Quit?',
    );
  });
});

describe('what is seen', () => {
  test('trouble in one sentence: what, since when, who is served by whom', () => {
    const typist = new Typist({
      ...dataOf({ link: 'down', holds: [{ ...HELD, link: 'down' }] }),
      linkDownAt: Date.parse('2026-01-01T10:04:48.000Z'),
    });
    const text = typist.text();
    expect(text).toContain('✕ link down for 12 s: orders is served by the original pods, new connections wait');
    expect(text).toMatch(/API .*╌╌ down ╌╌ agent ✕/);
    expect(text).toMatch(/orders .*○ original pods/);
  });

  test('mine first, then what others have, and what each state means', () => {
    const lines = [
      service('a'),
      service('b', { state: 'meshed', by: [{ ...leo, mark: 'VERSION: leo' }] }),
      service('c', { state: 'exchanged', by: [{ ...leo, live: false }] }),
      service('d', { state: 'previewing', by: [leo] }),
      service('orders', { state: 'exchanged', by: [{ ...leo, user: 'anna', host: 'lap' }] }),
    ];
    const text = new Typist(dataOf({ holds: [HELD] }, lines)).text();
    const rows = text.split('\n').filter((row) => /^ [▸ ] (a|b|c|d|orders) /.test(row));
    expect(rows.map((row) => row.slice(3).split(' ')[0])).toEqual(['orders', 'b', 'c', 'd', 'a']);
    expect(rows[0]).toMatch(/you → :8080 .*● to you/);
    expect(rows[1]).toMatch(/leo VERSION: leo .*◐ marked only/);
    expect(rows[2]).toMatch(/leo away .*○ original pods/);
    expect(rows[3]).toMatch(/● preview/);
  });

  test.each([
    [80, 24],
    [200, 60],
    [50, 12],
    [20, 5],
  ])('%i x %i: every view, overlay and input fits, and no row is longer than the terminal', (width, height) => {
    const typist = new Typist(
      dataOf(
        { holds: [HELD] },
        Array.from({ length: 300 }, (_, at) => service(`service-${at}-訂單`)),
      ),
    );
    typist.send({ type: 'resize', width, height });
    for (const keys of [
      ['1'],
      ['enter'],
      ['esc', '2'],
      ['3'],
      ['4'],
      ['5'],
      ['1', '?'],
      ['esc', 'e'],
      ['esc', 'm'],
      ['esc', 'p'],
      ['esc', 'q'],
      ['esc', '/', 'x'],
      ['esc', ':', 'y'],
      ['esc', 'G'],
    ]) {
      typist.keys(...keys);
      const rows = typist.text().split('\n');
      expect(rows.length).toBeLessThanOrEqual(Math.max(height - 1, 4));
    }
  });
});
