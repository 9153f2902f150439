// The screen in Ink: three pieces of painted lines, each with a boundary that turns a crash in it into a panel, and the keyboard.
// What the lines say is in views/*.model.ts; what keys do, in machine/.
import { Alert } from '@inkjs/ui';
import { Box, Text, useInput, useWindowSize } from 'ink';
import { Component, type ReactNode, useEffect, useSyncExternalStore } from 'react';
import { keyName } from './key-name.ts';
import type { Loop, Picture } from './loop.ts';
import { bodyHeight } from './machine/rows.ts';
import type { Line } from './text/line.ts';
import type { Theme } from './theme.ts';
import { bodyLines } from './views/body.model.ts';
import { bottomLines, topLines } from './views/frame.model.ts';

export function Screen({ loop, theme }: { readonly loop: Loop; readonly theme: Theme }): ReactNode {
  const picture = useSyncExternalStore(loop.subscribe, loop.picture);
  const { columns, rows } = useWindowSize();
  useEffect(() => loop.send({ type: 'resize', width: columns, height: rows }), [loop, columns, rows]);
  useInput((input, key) => {
    for (const name of keyName(input, key)) loop.send({ type: 'key', key: name });
  });
  const { ui } = picture;
  // A crash is over where something else is shown.
  const shown = `${ui.view} ${ui.overlay?.type ?? ''} ${ui.record?.id ?? ''} ${String(ui.detail)}`;
  return (
    <Box flexDirection="column">
      <Boundary key={`top ${shown}`} height={1}>
        <Lines of={topLines} picture={picture} theme={theme} />
      </Boundary>
      <Boundary key={shown} height={bodyHeight(ui)}>
        <Lines of={bodyLines} picture={picture} theme={theme} />
      </Boundary>
      <Boundary key={`bottom ${shown}`} height={1}>
        <Lines of={bottomLines} picture={picture} theme={theme} />
      </Boundary>
    </Box>
  );
}

interface LinesProps {
  readonly of: (ui: Picture['ui'], data: Picture['data']) => readonly Line[];
  readonly picture: Picture;
  readonly theme: Theme;
}

/** One text for all lines: a node for each span would cost more than all else. */
function Lines({ of, picture, theme }: LinesProps): ReactNode {
  const lines = of(picture.ui, picture.data).map((one) => theme.paint(one) || ' ');
  return <Text wrap="truncate">{lines.join('\n')}</Text>;
}

/** Milliseconds until a view that crashed is tried again. */
const AGAIN_MS = 1_000;

interface BoundaryProps {
  readonly height: number;
  readonly children: ReactNode;
}

interface BoundaryState {
  readonly error: Error | null;
  readonly at: number;
}

class Boundary extends Component<BoundaryProps, BoundaryState> {
  override state: BoundaryState = { error: null, at: 0 };

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { error: error instanceof Error ? error : new Error(String(error)), at: Date.now() };
  }

  /** Tried again now and then: what it could not show may be gone. */
  static getDerivedStateFromProps(_: BoundaryProps, { error, at }: BoundaryState): BoundaryState | null {
    return error !== null && Date.now() - at > AGAIN_MS ? { error: null, at } : null;
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <Box height={this.props.height} flexDirection="column" overflow="hidden">
        <Alert variant="error" title="This view has a defect; the session goes on">
          {`${error.message}. Another view (1 … 5) closes this. Please report it with the output of kt doctor.`}
        </Alert>
      </Box>
    );
  }
}
