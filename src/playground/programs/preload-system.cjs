// What a program in a pod reads about its machine: the host name, the network interface, and the files that a pod's /etc has.
'use strict';
const fs = require('node:fs');
const os = require('node:os');

function patchSystem(pod) {
  os.hostname = () => pod.hostname;
  os.networkInterfaces = () => ({
    lo: [
      {
        address: '127.0.0.1',
        netmask: '255.0.0.0',
        family: 'IPv4',
        mac: '00:00:00:00:00:00',
        internal: true,
        cidr: '127.0.0.1/8',
      },
    ],
    eth0: [
      {
        address: pod.ip,
        netmask: '255.255.240.0',
        family: 'IPv4',
        mac: '0a:58:c6:12:40:00',
        internal: false,
        cidr: `${pod.ip}/20`,
      },
    ],
  });
  const files = new Map([
    ['/etc/resolv.conf', `search ${pod.search.join(' ')}\nnameserver ${pod.nameserver}\noptions ndots:5\n`],
    ['/etc/hosts', `127.0.0.1\tlocalhost\n::1\tlocalhost\n${pod.ip}\t${pod.hostname}\n`],
    ['/etc/hostname', `${pod.hostname}\n`],
  ]);

  /** The content in the form that the options of readFile ask for; undefined for every other path. */
  function content(path, options) {
    const text = files.get(path instanceof URL ? path.pathname : path);
    if (text === undefined) return undefined;
    const encoding = typeof options === 'string' ? options : options?.encoding;
    const bytes = Buffer.from(text);
    return encoding ? bytes.toString(encoding) : bytes;
  }

  const { readFile, readFileSync } = fs;
  const promised = fs.promises.readFile;
  fs.readFileSync = function podReadFileSync(path, options) {
    return content(path, options) ?? readFileSync.apply(this, arguments);
  };
  fs.readFile = function podReadFile(path, options, callback) {
    const answer = typeof options === 'function' ? options : callback;
    const found = content(path, typeof options === 'function' ? undefined : options);
    if (found === undefined || typeof answer !== 'function') return readFile.apply(this, arguments);
    process.nextTick(answer, null, found);
    return undefined;
  };
  fs.promises.readFile = async function podReadFilePromise(path, options) {
    return content(path, options) ?? promised.apply(this, arguments);
  };
}

module.exports = { patchSystem };
