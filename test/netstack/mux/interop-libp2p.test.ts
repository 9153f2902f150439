// Our muxer and that of js-libp2p, over a line that cuts at random.
import { muxInteropSuite } from '../../compliance/mux-interop.ts';
import { duplexPair, randomCuts } from '../../support/duplex-pair.ts';
import { libp2pDuplex, libp2pMuxer } from '../../support/libp2p-muxer.ts';
import { jobs } from '../../support/mux-jobs.ts';

muxInteropSuite('@libp2p/yamux', (role) => {
  const [transport, line] = duplexPair({ cut: randomCuts(role.length) });
  const complaints: string[] = [];
  const muxer = libp2pMuxer(
    line,
    role,
    (stream) => void work(stream),
    (error) => complaints.push(String(error)),
  );
  const work = jobs({
    open: async () => libp2pDuplex(await muxer.createStream()),
    ping: () => muxer.ping(),
    goAway: () => muxer.close(),
  });
  return Promise.resolve({ transport, keepsStreamsAtGoAway: false, complaints: () => Promise.resolve(complaints) });
});
