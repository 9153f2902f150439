// kt's shim for Node.js programs, preloaded by NODE_OPTIONS=--require (set by `kt run`). It sends lookups of cluster names and TCP
// connects to cluster addresses through kt's broker on 127.0.0.1 (src/netstack/broker/protocol.codec.ts has the lines), and touches
// nothing else. Two places are enough for net, tls, http, http2, fetch and every library on top of them:
//   1. the public functions of node:dns, and 2. connect() of the TCP handle below net.Socket.
// Plain CommonJS without dependencies, for Node 16 and later. Small, because every node process of the program loads it.
'use strict';

const MARK = Symbol.for('kt.shim');
const { KT_BROKER, KT_TOKEN } = process.env;

if (KT_BROKER && KT_TOKEN && !globalThis[MARK]) {
  globalThis[MARK] = true;
  try {
    install();
  } catch (error) {
    process._rawDebug(
      `kt: the Node shim could not be set up, cluster names and addresses cannot be reached: ${error.stack}`,
    );
  }
}

function install() {
  const net = require('node:net');
  // What the environment says, until another kt is found in the session file (kt-node-broker.cjs).
  const settings = { ...process.env };
  const networks = clusterNetworks(net, settings);
  const names = clusterNames(net, settings);
  const broker = lazyBroker(net, settings, () => {
    networks.read();
    names.read();
  });
  const resolve = nameResolver(broker, networks, names);
  hookDns(resolve, broker, networks, names, settings);
  hookConnect(net, broker, networks);
  // `import { lookup } from 'node:dns'` sees the functions as they are now.
  require('node:module').syncBuiltinESMExports();
}

/** kt-node-broker.cjs, loaded with the first question: most processes of a build never ask one. */
function lazyBroker(net, settings, onFound) {
  const realConnect = net.Socket.prototype.connect;
  let client;
  const loaded = () => {
    client ??= require('./kt-node-broker.cjs')(net, realConnect, settings, onFound);
    return client;
  };
  return {
    realConnect,
    ask: (...question) => loaded().ask(...question),
    warn: (text) => loaded().warn(text),
  };
}

// ---------------------------------------------------------------- what is the cluster's

/** Addresses of the cluster: the networks that kt knows, and what names turned out to be. */
function clusterNetworks(net, settings) {
  const LEARNED_MAX = 4096;
  let known;
  const learned = new Set();
  /** Not before the first connect to an address: the first BlockList of a process takes most of a millisecond. */
  function read() {
    known = new net.BlockList();
    for (const cidr of (settings.KT_CIDRS || '').split(',')) {
      const [network, bits] = cidr.trim().split('/');
      const version = net.isIP(network);
      if (version !== 0) known.addSubnet(network, Number(bits ?? (version === 4 ? 32 : 128)), `ipv${version}`);
    }
  }
  /** An IPv4 address that a dual-stack program writes as IPv6. */
  const bare = (address) => (typeof address === 'string' && /^::ffff:/i.test(address) ? address.slice(7) : address);
  return {
    read,
    bare,
    includes(address) {
      const plain = bare(address);
      const version = net.isIP(plain);
      if (version === 0) return false;
      if (known === undefined) read();
      return learned.has(plain) || known.check(plain, `ipv${version}`);
    },
    learn(address) {
      if (learned.size >= LEARNED_MAX) learned.delete(learned.values().next().value);
      learned.add(address);
    },
  };
}

/** Names worth a question: those with a suffix of the cluster, and short ones (`orders`, `orders.shop`). All others never leave the process. */
function clusterNames(net, settings) {
  const hostname = (settings.KT_HOSTNAME || '').toLowerCase();
  let suffixes;
  function read() {
    suffixes = ['svc', 'cluster.local', ...(settings.KT_SUFFIXES || '').split(',')]
      .map((suffix) => suffix.trim().toLowerCase().replace(/^\./, ''))
      .filter(Boolean);
  }
  read();
  const certain = (name) =>
    name.includes('.svc.') || suffixes.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
  return {
    read,
    /** Only the cluster can know it. */
    certain,
    /** The name to ask for, or undefined. */
    candidate(host) {
      if (typeof host !== 'string' || host === '' || net.isIP(host) !== 0) return undefined;
      let name = host.toLowerCase();
      if (name.endsWith('.')) name = name.slice(0, -1);
      if (name === 'localhost' || name === hostname || name.endsWith('.localhost')) return undefined;
      // What could not be written in a line of the protocol is no name of the cluster either.
      if (!/^[a-z0-9_.-]{1,253}$/.test(name)) return undefined;
      return certain(name) || name.split('.').length <= 2 ? name : undefined;
    },
  };
}

// ---------------------------------------------------------------- names

/** name → callback(error, addresses | undefined); undefined: not the cluster's, ask the system. */
function nameResolver(broker, networks, names) {
  /** Longer than the broker's own limit. */
  const RESOLVE_MS = 15_000;
  return (name, callback) => {
    broker.ask(`RESOLVE ${name}`, RESOLVE_MS, {}, (error, line) => {
      if (!error && line.startsWith('OK ')) {
        const addresses = line.slice(3).split(' ');
        for (const address of addresses) networks.learn(address);
        callback(undefined, addresses);
      } else if (!error && !line.startsWith('ERR')) callback(undefined, undefined);
      else if (names.certain(name)) callback(notFound(name, error ? error.message : line.slice(4)));
      else callback(undefined, undefined);
    });
  };
}

function notFound(hostname, reason) {
  const because = reason === undefined ? '' : ` (kt: ${reason.replace(/^kt /, '')})`;
  const error = new Error(`getaddrinfo ENOTFOUND ${hostname}${because}`);
  return Object.assign(error, { code: 'ENOTFOUND', errno: -3008, syscall: 'getaddrinfo', hostname });
}

function hookDns(resolve, broker, networks, names, settings) {
  const dns = require('node:dns');
  const { promisify } = require('node:util');
  const resolveAsync = promisify(resolve);
  hookLookup(dns, promisify, resolve, resolveAsync, names);

  /** kt's own DNS, for the record types that the broker does not have (SRV for mongodb+srv and the like). */
  const ask = async (method, args) => {
    // A datagram does not tell whether kt is there; this finds one that was started again.
    await new Promise((resolved) => void broker.ask('RESOLVE localhost', 3000, {}, resolved));
    const ktDns = new dns.promises.Resolver({ timeout: 3000, tries: 2 });
    realSetServers.call(ktDns, [settings.KT_DNS]);
    return real[method].apply(ktDns, args);
  };

  // A Resolver that was given servers of its own asks those, as it would in the cluster.
  const own = new WeakSet();
  const realSetServers = dns.promises.Resolver.prototype.setServers;
  for (const Resolver of [dns.Resolver, dns.promises.Resolver]) {
    const setServers = Resolver.prototype.setServers;
    Resolver.prototype.setServers = function (...args) {
      own.add(this);
      return setServers.apply(this, args);
    };
  }

  // Everything is written once with promises, and given a callback face for the two older APIs.
  const real = methodsOf(dns.promises.Resolver.prototype);
  const short = (name) => names.candidate(name) !== undefined;
  const certain = (name) => short(name) && names.certain(names.candidate(name));
  /** method → [is it ours?, the answer or undefined for "not the cluster's after all"] */
  const hooks = {
    resolve4: [short, (name, options) => ofFamily(4, 'queryA', name, options)],
    resolve6: [short, (name, options) => ofFamily(6, 'queryAaaa', name, options)],
  };
  async function ofFamily(family, syscall, name, options) {
    const addresses = await resolveAsync(names.candidate(name));
    const found = addresses?.filter((address) => versionOf(address) === family);
    if (found === undefined) return undefined;
    if (found.length > 0) return options?.ttl ? found.map((address) => ({ address, ttl: 5 })) : found;
    throw Object.assign(new Error(`${syscall} ENODATA ${name}`), { code: 'ENODATA', syscall, hostname: name });
  }
  const types = { A: 'resolve4', AAAA: 'resolve6' };
  if (settings.KT_DNS) {
    // Also those that a cluster does not have: the laptop's servers are not told its names.
    for (const type of ['Any', 'Caa', 'Cname', 'Mx', 'Naptr', 'Ns', 'Ptr', 'Soa', 'Srv', 'Tlsa', 'Txt']) {
      const method = `resolve${type}`;
      if (!real[method]) continue; // younger than this Node
      types[type.toUpperCase()] = method;
      hooks[method] = [certain, (name) => ask(method, [names.candidate(name)])];
    }
    hooks.reverse = [networks.includes, (address) => ask('reverse', [address])];
  }
  const byType = (type) => hooks[types[typeof type === 'string' ? type : 'A']];
  hooks.resolve = [(name, type) => byType(type)?.[0](name) === true, (name, type) => byType(type)[1](name)];

  for (const [method, [isOurs, answer]] of Object.entries(hooks)) {
    for (const target of [dns.promises, dns.promises.Resolver.prototype]) {
      const original = target[method];
      target[method] = async function (...args) {
        const found = !own.has(this) && isOurs(...args) ? await answer(...args) : undefined;
        return found === undefined ? original.apply(this, args) : found;
      };
    }
    for (const target of [dns, dns.Resolver.prototype]) {
      const original = target[method];
      target[method] = function (...args) {
        const callback = args[args.length - 1];
        if (typeof callback !== 'function' || own.has(this) || !isOurs(...args)) return original.apply(this, args);
        // nextTick: what the callback throws is the program's own exception, not a rejection.
        answer(...args.slice(0, -1)).then(
          (found) => process.nextTick(() => (found === undefined ? original.apply(this, args) : callback(null, found))),
          (error) => process.nextTick(callback, error),
        );
        return {};
      };
    }
  }
}

function methodsOf(prototype) {
  return Object.fromEntries(Object.getOwnPropertyNames(prototype).map((name) => [name, prototype[name]]));
}

function hookLookup(dns, promisify, resolve, resolveAsync, names) {
  const { lookup: realLookup } = dns;
  const realPromised = dns.promises.lookup;

  /** Addresses in the shape that lookup's options ask for. */
  function shape(host, addresses, options) {
    const family = { IPv4: 4, IPv6: 6 }[options.family] ?? options.family ?? 0;
    let found = addresses.map((address) => ({ address, family: versionOf(address) }));
    if (family !== 0 && found.some((one) => one.family === family))
      found = found.filter((one) => one.family === family);
    else if (family === 6 && options.hints & dns.V4MAPPED) {
      found = addresses.map((address) => ({ address: `::ffff:${address}`, family: 6 }));
    } else if (family !== 0 && found[0].family !== family) throw notFound(host);
    return options.all ? found : found[0];
  }
  const optionsOf = (options) => (typeof options === 'number' ? { family: options } : options || {});

  dns.lookup = function lookup(host, options, callback) {
    const done = typeof options === 'function' ? options : callback;
    const candidate = names.candidate(host);
    if (candidate === undefined || typeof done !== 'function') return realLookup.apply(this, arguments);
    const wanted = typeof options === 'function' ? {} : optionsOf(options);
    resolve(candidate, (error, addresses) => {
      if (error) return done(error);
      if (addresses === undefined) return realLookup.call(dns, host, wanted, done);
      let answer;
      try {
        answer = shape(host, addresses, wanted);
      } catch (reason) {
        return done(reason);
      }
      return wanted.all ? done(null, answer) : done(null, answer.address, answer.family);
    });
    return {};
  };
  dns.promises.lookup = async function lookup(host, options) {
    const candidate = names.candidate(host);
    const addresses = candidate === undefined ? undefined : await resolveAsync(candidate);
    return addresses === undefined ? realPromised.apply(this, arguments) : shape(host, addresses, optionsOf(options));
  };
  dns.lookup[promisify.custom] = (host, options) => dns.promises.lookup(host, options);
}

// ---------------------------------------------------------------- connects

/** The handle of libuv is the one place that every TCP connect passes: net, tls, http, fetch, and each try of "happy eyeballs". */
function hookConnect(net, broker, networks) {
  let hooked = false;
  net.Socket.prototype.connect = function connect(...args) {
    if (!hooked) {
      hooked = true;
      const handle = handlePrototype(net, broker.realConnect);
      if (handle === undefined)
        broker.warn('this version of Node has no TCP handle to hook; cluster addresses cannot be reached');
      else for (const method of ['connect', 'connect6']) hookHandle(handle, method, broker, networks);
    }
    return broker.realConnect.apply(this, args);
  };
}

/** A socket that connects to an address has its handle at once, and sends its first packet only in the next tick: too late for this one. */
function handlePrototype(net, realConnect) {
  const probe = new net.Socket();
  probe.on('error', () => {});
  realConnect.call(probe, { host: '127.0.0.1', port: 9 });
  const prototype = probe._handle && Object.getPrototypeOf(probe._handle);
  probe.destroy();
  return typeof prototype?.connect === 'function' ? prototype : undefined;
}

function hookHandle(prototype, method, broker, networks) {
  /** Longer than the broker's own limit. */
  const DIAL_MS = 30_000;
  const original = prototype[method];
  prototype[method] = function connect(request, address, port, ...rest) {
    if (!networks.includes(address)) return original.call(this, request, address, port, ...rest);
    const handle = this;
    const peer = networks.bare(address);
    const fail = (errno) => request.oncomplete?.(errno, handle, request, false, false);
    // A program that did unref() before connecting does not want to be kept alive by the question either.
    const unref = handle.hasRef?.() === false;
    const withdraw = broker.ask(`DIAL ${peer} ${port} 0`, DIAL_MS, { unref }, (error, line) => {
      delete handle.close;
      if (error || line.startsWith('ERR')) {
        fail(errnoOf(error ? 'ECONNREFUSED' : line.split(' ')[1]));
        return;
      }
      let status;
      if (line.startsWith('OK ')) {
        // The program sees the address that it asked for.
        handle.getpeername = (out) => Object.assign(out, { address: peer, port, family: `IPv${versionOf(peer)}` }) && 0;
        const loopback = method === 'connect6' ? '::ffff:127.0.0.1' : '127.0.0.1';
        status = original.call(handle, request, loopback, Number(line.slice(3)), ...rest);
      } else status = original.call(handle, request, address, port, ...rest);
      if (status) fail(status);
    });
    // Until the answer is here the handle has nothing to close but the question.
    handle.close = function close(...args) {
      delete handle.close;
      withdraw();
      return handle.close(...args);
    };
    return 0;
  };
}

function versionOf(address) {
  return address.includes(':') ? 6 : 4;
}

let errnos;
/** libuv's number of an errno name on this system; refused, where the system has no such error. */
function errnoOf(name) {
  errnos ??= new Map([...require('node:util').getSystemErrorMap()].map(([number, [key]]) => [key, number]));
  return errnos.get(name) ?? errnos.get('ECONNREFUSED');
}
