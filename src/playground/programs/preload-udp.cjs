// UDP in a pod (IPv4): bind, send and connect with the addresses of the cluster, answers shown as coming from them.
// Sockets of type udp6 are left alone: the playground's network has no IPv6.
'use strict';
const dgram = require('node:dgram');
const net = require('node:net');
const dns = require('node:dns');

const STATE = Symbol('kt.udp');
/** Where to send to is asked again after this, so that a restarted pod is found. */
const ROUTE_MS = 2_000;
const ROUTES_MAX = 1_024;

function patchUdp(pod, channel) {
  const real = {
    bind: dgram.Socket.prototype.bind,
    send: dgram.Socket.prototype.send,
    connect: dgram.Socket.prototype.connect,
    address: dgram.Socket.prototype.address,
    remoteAddress: dgram.Socket.prototype.remoteAddress,
    close: dgram.Socket.prototype.close,
    emit: dgram.Socket.prototype.emit,
  };
  const isOurs = (socket) => socket.type === 'udp4';

  function stateOf(socket) {
    socket[STATE] ??= { binding: undefined, routes: new Map(), peers: new Map(), connected: undefined };
    return socket[STATE];
  }

  /** The real port of `address:port`: calls back with a number, or an error's name. */
  function route(socket, address, port, callback) {
    const { routes, peers } = stateOf(socket);
    const key = `${address}:${port}`;
    const known = routes.get(key);
    if (known !== undefined && known.until > Date.now()) {
      callback(known.realPort);
      return;
    }
    dns.lookup(address, 4, (error, ip) => {
      if (error) {
        callback(undefined, error);
        return;
      }
      // A sender whose datagram arrived is answered at the port that it came from.
      if (ip === '127.0.0.1' && peers.get(port) === undefined && peers.has(port)) {
        callback(port);
        return;
      }
      channel.ask({ ask: 'connect', protocol: 'udp', address: ip, port }, (answer) => {
        if (answer.realPort === undefined) {
          callback(undefined, undefined); // nobody listens: the datagram is lost, as UDP's are
          return;
        }
        remember(routes, key, { realPort: answer.realPort, until: Date.now() + ROUTE_MS });
        remember(peers, answer.realPort, { address: ip, port });
        callback(answer.realPort);
      });
    });
  }

  function remember(map, key, value) {
    if (map.size >= ROUTES_MAX) map.delete(map.keys().next().value);
    map.set(key, value);
  }

  /** Every socket is bound to loopback before it does anything. */
  function bindReal(socket, then) {
    const state = stateOf(socket);
    if (state.bound) {
      then();
      return;
    }
    state.waiting ??= [];
    state.waiting.push(then);
    if (state.waiting.length > 1) return;
    real.bind.call(socket, { port: 0, address: '127.0.0.1', exclusive: true }); // goes on in emit, at its 'listening'
  }

  dgram.Socket.prototype.bind = function bind(...args) {
    if (!isOurs(this)) return real.bind.apply(this, args);
    const callback = typeof args.at(-1) === 'function' ? args.at(-1) : undefined;
    const [first, second] = args;
    const options = typeof first === 'object' && first !== null ? first : { port: first, address: second };
    if (options.fd !== undefined) return real.bind.apply(this, args);
    const port = Number(typeof options.port === 'function' ? 0 : (options.port ?? 0));
    const address = typeof options.address === 'string' && options.address !== '' ? options.address : '0.0.0.0';
    const scope =
      address === '0.0.0.0' ? 'any' : address.startsWith('127.') || address === 'localhost' ? 'loopback' : 'pod';
    const state = stateOf(this);
    if (callback !== undefined) this.once('listening', callback);
    bindReal(this, () => {
      const realPort = real.address.call(this).port;
      if (port === 0) {
        this.emit('listening');
        return;
      }
      channel.ask({ ask: 'listen', protocol: 'udp', port, scope, realPort }, (answer) => {
        if (answer.done) {
          state.binding = { address, port, realPort };
          this.emit('listening');
        } else {
          const error = new Error(`bind EADDRINUSE ${address}:${port}`);
          this.emit('error', Object.assign(error, { code: 'EADDRINUSE', syscall: 'bind', address, port }));
        }
      });
    });
    return this;
  };

  dgram.Socket.prototype.send = function send(message, ...args) {
    const state = stateOf(this);
    if (!isOurs(this) || state.connected !== undefined) return real.send.call(this, message, ...args);
    const callback = typeof args.at(-1) === 'function' ? args.pop() : undefined;
    // send(msg, offset, length, port, address) or send(msg, port, address)
    const sliced = typeof args[2] === 'number' || (args.length >= 3 && typeof args[1] === 'number');
    const [port, address = '127.0.0.1'] = sliced ? args.slice(2) : args;
    const bytes = sliced ? Buffer.from(message).subarray(args[0], args[0] + args[1]) : message;
    bindReal(this, () => {
      route(this, address, Number(port), (realPort, error) => {
        if (realPort !== undefined) real.send.call(this, bytes, realPort, '127.0.0.1', callback);
        else if (callback !== undefined) callback(error ?? null);
        else if (error) this.emit('error', error);
      });
    });
    return undefined;
  };

  dgram.Socket.prototype.connect = function connect(port, ...args) {
    if (!isOurs(this)) return real.connect.call(this, port, ...args);
    const callback = typeof args.at(-1) === 'function' ? args.pop() : undefined;
    const [address = '127.0.0.1'] = args;
    if (callback !== undefined) this.once('connect', callback);
    bindReal(this, () => {
      route(this, address, Number(port), (realPort, error) => {
        if (error) {
          this.emit('error', error);
          return;
        }
        // Nobody listens: the discard port of loopback, which refuses as the pod would.
        stateOf(this).connected = {
          address: net.isIP(address) ? address : '127.0.0.1',
          family: 'IPv4',
          port: Number(port),
        };
        real.connect.call(this, realPort ?? 9, '127.0.0.1');
      });
    });
    return undefined;
  };

  dgram.Socket.prototype.address = function address() {
    const found = real.address.call(this);
    const binding = this[STATE]?.binding;
    return binding === undefined ? found : { ...found, address: binding.address, port: binding.port };
  };

  dgram.Socket.prototype.remoteAddress = function remoteAddress() {
    return this[STATE]?.connected ?? real.remoteAddress.call(this);
  };

  dgram.Socket.prototype.close = function close(...args) {
    const realPort = this[STATE]?.binding?.realPort;
    if (realPort !== undefined) channel.ask({ ask: 'unlisten', protocol: 'udp', realPort }, () => {});
    return real.close.apply(this, args);
  };

  dgram.Socket.prototype.emit = function emit(event, ...args) {
    const state = this[STATE];
    if (state === undefined) return real.emit.call(this, event, ...args);
    if (event === 'listening' && !state.bound) {
      state.bound = true;
      for (const next of state.waiting.splice(0)) next();
      return true;
    }
    if (event !== 'message') return real.emit.call(this, event, ...args);
    const [message, from] = args;
    const peer = state.peers.get(from.port);
    if (peer === undefined) remember(state.peers, from.port, undefined);
    return real.emit.call(this, 'message', message, peer === undefined ? from : { ...from, ...peer });
  };
}

module.exports = { patchUdp };
