// TCP in a pod. Listening: on a real loopback port, registered under the pod's own port. Connecting: at libuv's TCP handle, the one
// place that net, tls, http, fetch and happy eyeballs all pass; the playground says which real port an address means.
'use strict';
const net = require('node:net');
const util = require('node:util');

const BINDING = Symbol('kt.binding');
const EPHEMERAL_FIRST = 32_768;
const EPHEMERAL_COUNT = 28_232;
const EPHEMERAL_TRIES = 20;

const errnos = new Map([...util.getSystemErrorMap()].map(([number, [name]]) => [name, number]));

function patchTcp(pod, channel) {
  const prototype = Object.getPrototypeOf(channel.handle);
  const real = {
    bind: prototype.bind,
    connect: prototype.connect,
    getsockname: prototype.getsockname,
    getpeername: prototype.getpeername,
  };

  function redirect(handle, request, address, port) {
    let closed = false;
    const realClose = handle.close;
    handle.close = function close(callback) {
      closed = true;
      delete handle.close;
      return realClose.call(handle, callback);
    };
    // The local port is taken before the dial, so that the other pod can be told who it is that connects.
    const local = {};
    real.bind.call(handle, '127.0.0.1', 0, 0);
    real.getsockname.call(handle, local);
    channel.ask({ ask: 'connect', protocol: 'tcp', address, port, from: local.port ?? 0 }, (answer) => {
      delete handle.close;
      if (closed) return;
      const fail = (code) => request.oncomplete?.(code, handle, request, false, false);
      if (answer.error !== undefined) {
        fail(errnos.get(answer.error) ?? errnos.get('ECONNREFUSED'));
        return;
      }
      const loopback = address === '::1' || address.startsWith('127.');
      answerName(handle, 'getpeername', address, port);
      answerName(handle, 'getsockname', loopback ? address : pod.ip, local.port);
      const code = real.connect.call(handle, request, '127.0.0.1', answer.realPort);
      if (code !== 0) fail(code);
    });
    return 0;
  }

  function answerName(handle, method, address, port) {
    handle[method] = (out) => {
      out.address = address;
      out.port = port;
      out.family = net.isIPv6(address) ? 'IPv6' : 'IPv4';
      return 0;
    };
  }

  for (const name of ['connect', 'connect6']) {
    const original = prototype[name];
    prototype[name] = function connect(request, address, port) {
      // A string address is TCP; anything else is not ours.
      if (this === channel.handle || typeof address !== 'string') return original.apply(this, arguments);
      return redirect(this, request, address, port);
    };
  }

  // `localAddress` of a client may be the pod's: the real socket is bound to loopback when it connects.
  prototype.bind = function bind(address) {
    return address === pod.ip ? 0 : real.bind.apply(this, arguments);
  };

  // ---- listening
  const realListen = net.Server.prototype.listen;
  const realAddress = net.Server.prototype.address;
  const realClose = net.Server.prototype.close;

  net.Server.prototype.listen = function listen(...args) {
    const wanted = parseListen(args, pod);
    if (wanted === undefined) return realListen.apply(this, args);
    realListen.call(this, { ...wanted.options, port: 0, host: '127.0.0.1', exclusive: true }, wanted.callback);
    const binding = { ...wanted, port: wanted.port === 0 ? ephemeral() : wanted.port, chosen: wanted.port === 0 };
    this[BINDING] = binding;
    holdListening(this, binding);
    return this;
  };

  /** 'listening' waits until the port is the pod's: whoever is told that the server listens can connect to it. */
  function holdListening(server, binding) {
    const emit = server.emit;
    const own = Object.hasOwn(server, 'emit');
    const restore = () => {
      binding.restore = undefined;
      if (own) server.emit = emit;
      else delete server.emit;
    };
    binding.restore = restore;
    server.emit = function emitHeld(event, ...rest) {
      if (event === 'error') restore();
      if (event !== 'listening') return emit.call(server, event, ...rest);
      restore();
      binding.realPort = realAddress.call(server).port;
      acceptAs(server, binding);
      register(server, binding, EPHEMERAL_TRIES);
      return true;
    };
  }

  function register(server, binding, tries) {
    const { port, scope, realPort } = binding;
    channel.ask({ ask: 'listen', protocol: 'tcp', port, scope, realPort }, (answer) => {
      if (server._handle === null || server[BINDING] !== binding) {
        if (answer.done) channel.ask({ ask: 'unlisten', protocol: 'tcp', realPort }, () => {});
      } else if (answer.done) server.emit('listening');
      else if (binding.chosen && tries > 0) {
        binding.port = ephemeral();
        register(server, binding, tries - 1);
      } else {
        server._handle.close();
        server._handle = null;
        delete server[BINDING];
        const error = new Error(`listen EADDRINUSE: address already in use ${binding.address}:${port}`);
        server.emit(
          'error',
          Object.assign(error, {
            code: 'EADDRINUSE',
            errno: errnos.get('EADDRINUSE'),
            syscall: 'listen',
            address: binding.address,
            port,
          }),
        );
      }
    });
  }

  /** Connections are given to the program with the addresses that they have in the cluster. */
  function acceptAs(server, binding) {
    const handle = server._handle;
    const onconnection = handle.onconnection;
    handle.onconnection = function accept(status, client) {
      if (status !== 0 || !client) {
        onconnection.call(handle, status, client);
        return;
      }
      const peer = {};
      real.getpeername.call(client, peer);
      channel.ask({ ask: 'source', realPort: peer.port }, (answer) => {
        if (server._handle !== handle) {
          client.close();
          return;
        }
        const address = answer.address ?? '127.0.0.1';
        answerName(client, 'getpeername', address, peer.port);
        answerName(client, 'getsockname', address === '127.0.0.1' ? address : pod.ip, binding.port);
        onconnection.call(handle, status, client);
      });
    };
  }

  net.Server.prototype.address = function address() {
    const binding = this[BINDING];
    if (binding === undefined) return realAddress.call(this);
    return { address: binding.address, family: net.isIPv6(binding.address) ? 'IPv6' : 'IPv4', port: binding.port };
  };

  net.Server.prototype.close = function close(...args) {
    const binding = this[BINDING];
    binding?.restore?.();
    delete this[BINDING];
    if (binding?.realPort !== undefined)
      channel.ask({ ask: 'unlisten', protocol: 'tcp', realPort: binding.realPort }, () => {});
    return realClose.apply(this, args);
  };
}

function ephemeral() {
  return EPHEMERAL_FIRST + Math.floor(Math.random() * EPHEMERAL_COUNT);
}

/** The forms of server.listen() that mean a TCP port. Undefined for pipes, descriptors, and what Node shall refuse itself. */
function parseListen(args, pod) {
  const callback = typeof args.at(-1) === 'function' ? args.at(-1) : undefined;
  const [first, second, third] = callback === undefined ? args : args.slice(0, -1);
  let options = {};
  if (typeof first === 'object' && first !== null) {
    if (first.port === undefined || first.path !== undefined || first._handle || first.fd !== undefined)
      return undefined;
    options = { ...first };
  } else {
    options.port = first ?? 0;
    if (typeof second === 'string') options.host = second;
    const backlog = typeof second === 'number' ? second : third;
    if (typeof backlog === 'number') options.backlog = backlog;
  }
  const port = typeof options.port === 'string' && options.port.trim() !== '' ? Number(options.port) : options.port;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) return undefined;
  const { scope, address } = placeOf(options.host, pod);
  const { backlog, signal, readableAll, writableAll } = options;
  return { callback, port, scope, address, options: { backlog, signal, readableAll, writableAll } };
}

function placeOf(host, pod) {
  if (host === undefined || host === null || host === '' || host === '::') return { scope: 'any', address: '::' };
  if (host === '0.0.0.0') return { scope: 'any', address: host };
  if (host === 'localhost' || host === '::1' || host.startsWith('127.'))
    return { scope: 'loopback', address: host === 'localhost' ? '127.0.0.1' : host };
  return { scope: 'pod', address: pod.ip };
}

module.exports = { patchTcp };
