// Names in a pod. dns.resolve* and the Resolvers are the real c-ares, pointed at the playground's DNS server; dns.lookup
// (getaddrinfo, with the pod's search list) is asked over the channel, because the real one would ask the machine's resolver.
'use strict';
const dns = require('node:dns');
const net = require('node:net');
const util = require('node:util');

const EAI_NONAME = -3008;

function notFound(hostname) {
  const error = new Error(`getaddrinfo ENOTFOUND ${hostname}`);
  return Object.assign(error, { errno: EAI_NONAME, code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname });
}

function patchDns(pod, channel) {
  const servers = [`127.0.0.1:${pod.dnsPort}`];
  pointResolvers(servers, pod.nameserver);
  const realLookup = dns.lookup;
  const realPromised = dns.promises.lookup;

  /** Calls back with [{ address, family }], at least one, or an error. */
  function find(hostname, options, callback) {
    const family = options.family === 'IPv6' ? 6 : options.family === 'IPv4' ? 4 : (options.family ?? 0);
    const done = (addresses) => {
      const v4 = addresses.filter((address) => net.isIPv4(address));
      const mapped = family === 6 && (options.hints & dns.V4MAPPED) !== 0;
      const found = [
        ...(family === 6 ? [] : v4.map((address) => ({ address, family: 4 }))),
        ...(mapped ? v4.map((address) => ({ address: `::ffff:${address}`, family: 6 })) : []),
        ...(family === 4
          ? []
          : addresses.filter((address) => net.isIPv6(address)).map((address) => ({ address, family: 6 }))),
      ];
      if (found.length === 0) callback(notFound(hostname));
      else callback(null, found);
    };
    const name = hostname.toLowerCase();
    if (name === 'localhost' || name.endsWith('.localhost')) process.nextTick(done, ['127.0.0.1', '::1']);
    else if (name === pod.hostname.toLowerCase()) process.nextTick(done, [pod.ip]);
    else channel.ask({ ask: 'lookup', name: hostname }, (answer) => done(answer.addresses ?? []));
  }

  /** Not ours: no name, an address, or arguments that Node shall refuse in its own words. */
  const isPlain = (hostname) => typeof hostname !== 'string' || hostname === '' || net.isIP(hostname) !== 0;
  const asOptions = (options) => (typeof options === 'number' ? { family: options } : (options ?? {}));

  dns.lookup = function lookup(hostname, options, callback) {
    const answer = typeof options === 'function' ? options : callback;
    if (isPlain(hostname) || typeof answer !== 'function') return realLookup.apply(this, arguments);
    const wanted = typeof options === 'function' ? {} : asOptions(options);
    find(hostname, wanted, (error, found) => {
      if (error) answer(error);
      else if (wanted.all) answer(null, found);
      else answer(null, found[0].address, found[0].family);
    });
    return {};
  };
  dns.promises.lookup = async function lookup(hostname, options) {
    if (isPlain(hostname)) return realPromised.apply(this, arguments);
    const wanted = asOptions(options);
    const found = await util.promisify(find)(hostname, wanted);
    return wanted.all ? found : found[0];
  };
  dns.lookup[util.promisify.custom] = (hostname, options) => dns.promises.lookup(hostname, options);

  // getnameinfo would ask the machine; the reverse record and the port's number are what a slim image answers too.
  dns.lookupService = (address, port, callback) => {
    dns.reverse(address, (error, names) => callback(null, error ? address : names[0], String(port)));
  };
  dns.promises.lookupService = async (address, port) => {
    const names = await dns.promises.reverse(address).catch(() => [address]);
    return { hostname: names[0], service: String(port) };
  };
}

/** Every resolver asks the playground, whatever servers the program sets; it is shown the ones that it set. */
function pointResolvers(servers, nameserver) {
  for (const api of [dns, dns.promises]) {
    const RealResolver = api.Resolver;
    api.Resolver = class Resolver extends RealResolver {
      #shown = [nameserver];

      constructor(options) {
        super(options);
        super.setServers(servers);
      }

      setServers(list) {
        super.setServers(list);
        super.setServers(servers);
        this.#shown = [...list];
      }

      getServers() {
        return [...this.#shown];
      }
    };
  }
  const setAll = dns.setServers;
  let shown = [nameserver];
  setAll(servers);
  const setServers = (list) => {
    setAll(list);
    setAll(servers);
    shown = [...list];
    require('node:module').syncBuiltinESMExports();
  };
  for (const api of [dns, dns.promises]) {
    api.setServers = setServers;
    api.getServers = () => [...shown];
  }
}

module.exports = { patchDns };
