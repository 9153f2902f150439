// The pictures of the docs: the built screen on a real terminal, before a session that is played. Called by scripts/pictures.ts, which
// writes them, and by the test that they are not stale.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Board } from '../../src/session/board.ts';
import { takeEnvPictures } from './env-pictures.ts';
import { pictureOf } from './picture.ts';
import { playLoss, playNamespace, playSession } from './played-session.ts';
import { KEY } from './screen-world.ts';
import { Terminal } from './terminal.ts';

export interface Picture {
  readonly name: string;
  readonly svg: string;
}

type Scene = readonly [
  name: string,
  title: string,
  rows: number,
  act: (terminal: Terminal, board: Board) => Promise<unknown>,
];

const SCENES: readonly Scene[] = [
  [
    'services',
    'The Services of a namespace: who has which of them, and what answers',
    24,
    (terminal) => terminal.until('REQ/S'),
  ],
  [
    'exchange',
    'The form of an exchange: ports, the plan as the objects that will be written, and the command that does the same',
    24,
    async (terminal) => {
      terminal.type('/gateway');
      await terminal.until('▸ gateway');
      terminal.type(`${KEY.enter}e`);
      await terminal.until('patch service/gateway');
      await terminal.until('something listens');
    },
  ],
  [
    'traffic',
    'A request that this laptop answered: headers without secrets, bodies, and how its time went',
    38,
    async (terminal) => {
      terminal.type('2');
      await terminal.until('POST /api/orders');
      terminal.type(KEY.up.repeat(2));
      await terminal.until(/▸ .*POST \/api\/orders/);
      terminal.type(KEY.enter);
      await terminal.until('no stock for A-7');
    },
  ],
  [
    'trouble',
    'The line is lost: the hop is red, one sentence says what kt does, and the original pods answer',
    20,
    async (terminal, board) => {
      playLoss(board);
      await terminal.until('link down for');
      await terminal.until('○ original pods');
    },
  ],
];

export async function takePictures(): Promise<Picture[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-pictures-'));
  const before = process.env['KT_RUNTIME_DIR'];
  process.env['KT_RUNTIME_DIR'] = folder;
  try {
    const pictures: Picture[] = [];
    for (const scene of SCENES) pictures.push(await take(scene));
    return [...pictures, ...(await takeEnvPictures())];
  } finally {
    if (before === undefined) delete process.env['KT_RUNTIME_DIR'];
    else process.env['KT_RUNTIME_DIR'] = before;
    rmSync(folder, { recursive: true, force: true });
  }
}

async function take([name, title, rows, act]: Scene): Promise<Picture> {
  const board = await playSession();
  const env = {
    ...process.env,
    TERM: 'xterm-256color',
    COLORTERM: '',
    NO_COLOR: '',
    KT_THEME: 'dark',
    LANG: 'C.UTF-8',
    LC_ALL: '',
  };
  const terminal = new Terminal(process.execPath, [resolve('dist/kt.mjs'), 'ui'], {
    cols: name === 'traffic' ? 132 : 108,
    rows,
    env,
  });
  try {
    await terminal.until('looking at the namespace');
    playNamespace(board);
    await terminal.until('10 Services');
    await act(terminal, board);
    return { name, svg: pictureOf(terminal, title) };
  } finally {
    await terminal.close();
    board.close();
  }
}
