// Loaded by --require into every Node process of a playground pod. Makes the process believe that it runs in a pod: its own address
// and name, ports of its own, the cluster's names, other pods and Services. Nothing leaves the machine's loopback.
// Plain CommonJS with builtins only: it is a file beside the bundle, for every Node that kt runs on.
// The other side is pods/channel.ts; what it is told comes in the variable KT_POD (pods/container.ts).
'use strict';
const { readFileSync } = require('node:fs');
const { constants } = require('node:os');
const { isMainThread } = require('node:worker_threads');

const LOADED = Symbol.for('kt.playground.pod');
const text = process.env.KT_POD;

if (text !== undefined && !globalThis[LOADED]) {
  globalThis[LOADED] = true;
  const pod = JSON.parse(text);
  takeBoot(pod.boot);
  const { openChannel } = require('./preload-channel.cjs');
  const channel = openChannel(pod, onSignal);
  require('./preload-tcp.cjs').patchTcp(pod, channel);
  require('./preload-dns.cjs').patchDns(pod, channel);
  require('./preload-udp.cjs').patchUdp(pod, channel);
  require('./preload-system.cjs').patchSystem(pod);
  require('node:module').syncBuiltinESMExports();
}

// Values too long for an environment or a command line of Windows (32,767 characters) came in a file.
function takeBoot(path) {
  if (path === undefined) return;
  const boot = JSON.parse(readFileSync(path, 'utf8'));
  process.env = { ...process.env, ...boot.env };
  // `node -e CODE a b` was started as `node - a b` with CODE on stdin: give the program the argv that it expects.
  if (boot.codeOnStdin && process.argv[1] === '-') process.argv.splice(1, 1);
}

// Signals come over the channel, so that they work alike on Windows.
function onSignal(name) {
  if (!isMainThread) return;
  const number = constants.signals[name] ?? 15;
  if (process.listenerCount(name) > 0) process.emit(name, name, number);
  else process.exit(128 + number);
}
