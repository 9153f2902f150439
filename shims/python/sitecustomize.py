# kt's shim for Python programs: a sitecustomize module on PYTHONPATH (set by `kt run`), which the interpreter imports at start. It sends
# lookups of cluster names and connects to cluster addresses through kt's broker on 127.0.0.1 (src/netstack/broker/protocol.codec.ts has
# the lines) and touches nothing else. It works below the module `socket`, on the C module `_socket`: so asyncio, ssl, urllib, requests
# and gevent all stand on it, and `socket` itself need not be imported for it. C libraries with sockets of their own (libpq, grpcio) are
# not reached; uvloop is one too, and asyncio's own loop takes its place. At the end it hands over to the sitecustomize that it hides, if there is one.
# For Python 3.6 and later; Python 2 can read it and does nothing.
import os
import sys


def _install():
    import _socket
    import errno

    RESOLVE_SECONDS = 15  # longer than the broker's own limits, which know the better reason
    DIAL_SECONDS = 30
    CONNECT_SECONDS = 2
    NONBLOCKING_WAIT_MS = 100  # for a true refusal, before a non-blocking connect goes on with the dial under way
    LEARNED_MAX = 4096
    NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")

    settings = dict(os.environ)  # until another kt is found in the session file (found)
    hostname = settings.get("KT_HOSTNAME", "")
    suffixes = []
    networks = []
    learned = set()
    introduced = {}  # process id -> True: the first question of a process says who asks, also after a fork
    warned = []

    real_socket = _socket.socket
    real_getaddrinfo = _socket.getaddrinfo
    real_gethostbyname = _socket.gethostbyname
    real_gethostbyname_ex = _socket.gethostbyname_ex

    # ---------------------------------------------------------------- what is the cluster's

    def parse(text):
        """An address literal as (bits, number), or None. IPv4 written as IPv6 is IPv4."""
        if not isinstance(text, str):
            return None
        if text[:7].lower() == "::ffff:" and "." in text:
            text = text[7:]
        family = _socket.AF_INET6 if ":" in text else _socket.AF_INET
        try:
            packed = _socket.inet_pton(family, text.split("%")[0])
        except (OSError, ValueError):
            return None
        return len(packed) * 8, int.from_bytes(packed, "big")

    def read_settings():
        suffixes[:] = [".svc", ".cluster.local"] + [one for one in settings.get("KT_SUFFIXES", "").split(",") if one]
        parsed = []
        for cidr in settings.get("KT_CIDRS", "").split(","):
            if cidr:
                network, prefix = cidr.split("/")
                bits, number = parse(network)
                shift = bits - int(prefix)
                parsed.append((bits, shift, number >> shift))
        networks[:] = parsed

    read_settings()

    def is_ours(address):
        if address in learned:
            return True
        return any(address[0] == bits and address[1] >> shift == start for bits, shift, start in networks)

    def candidate(host):
        """The name to ask the broker for, or None where it can not be a cluster name: that is decided without a question."""
        if isinstance(host, (bytes, bytearray)):
            host = bytes(host).decode("latin-1")
        if not isinstance(host, str) or not host or len(host) > 253:
            return None
        name = host.lower()
        if name.endswith("."):
            name = name[:-1]
        if name in ("localhost", hostname) or name.endswith(".localhost") or parse(name):
            return None
        if not NAME_CHARACTERS.issuperset(name):
            return None  # nothing that a line of the protocol could carry
        if not name.strip("0123456789."):
            return None  # old forms of addresses: 127.1
        return name if name.count(".") <= 1 or is_certain(name) else None

    def is_certain(name):
        """Only the cluster can know this name."""
        return ".svc." in name or ("." + name).endswith(tuple(suffixes))

    # ---------------------------------------------------------------- the broker

    class Away(Exception):
        """kt did not answer; the reason."""

    def found(token):
        """Has another kt been started since the one with `token` was asked? src/session/session-file.ts has the lines."""
        if settings["KT_TOKEN"] != token:
            return True
        try:
            with open(settings["KT_SESSION_FILE"]) as file:
                lines = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
            if lines["KT_TOKEN"] == token:
                return False
            lines["KT_BROKER"].rsplit(":", 1)[1]
        except (OSError, KeyError, IndexError):
            return False
        settings.update(lines)
        read_settings()
        if warned:
            sys.stderr.write("kt: kt is running again\n")
            del warned[:]
        return True

    def ask(question, seconds):
        """One line there, one line back; ConnectionRefusedError where kt is gone, and none was started since."""
        token = settings["KT_TOKEN"]
        try:
            return ask_once(question, seconds)
        except Away as error:
            reason = error
        if found(token):
            try:
                return ask_once(question, seconds)
            except Away as error:
                reason = error
        text = "kt is not running (127.0.0.1:%s: %s); cluster names and addresses cannot be reached" % (
            settings["KT_BROKER"].rsplit(":", 1)[1], reason)
        if not warned:
            warned.append(True)
            sys.stderr.write("kt: %s\n" % text)
        raise ConnectionRefusedError(errno.ECONNREFUSED, text)

    def ask_once(question, seconds):
        """Blocks, with an end to every wait. Away where nobody answers, or somebody else does."""
        pid = os.getpid()
        token = settings["KT_TOKEN"]
        lines = "KT1 %s %s\n" % (token, question)
        expected = 1
        if pid not in introduced:
            lines = "KT1 %s HELLO python %d.%d.%d %d\n" % ((token,) + sys.version_info[:3] + (pid,)) + lines
            expected = 2
            introduced[pid] = True
        connection = real_socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(("127.0.0.1", int(settings["KT_BROKER"].rsplit(":", 1)[1])))
            connection.settimeout(seconds)
            connection.sendall(lines.encode("ascii"))
            answer = b""
            while answer.count(b"\n") < expected and not answer.startswith(b"ERR") and len(answer) < 2048:
                chunk = connection.recv(1024)
                if not chunk:
                    break
                answer += chunk
            line = answer.decode("latin-1").rstrip("\n").split("\n")[-1]
            if not answer.endswith(b"\n"):
                reason = "connection closed"
            elif line[:2] not in ("OK", "NO") and not line.startswith("ERR ") or line.startswith("ERR EACCES wrong"):
                reason = line[:100]  # the port is another program's now, or another kt's
            else:
                return line
        except _socket.timeout:
            reason = "no answer within %g seconds" % seconds
        except OSError as error:
            reason = error.strerror or str(error)
        finally:
            connection.close()
        introduced.pop(pid, None)
        raise Away(reason)

    def resolve(host):
        """Addresses of a cluster name; None: not the cluster's, ask the system. gaierror where only the cluster could know it."""
        name = candidate(host)
        if name is None:
            return None
        try:
            answer = ask("RESOLVE " + name, RESOLVE_SECONDS)
        except OSError as error:
            if is_certain(name):
                raise _socket.gaierror(_socket.EAI_AGAIN, "%s: %s" % (name, error.strerror or error))
            return None
        if answer.startswith("OK "):
            addresses = answer[3:].split(" ")
            if len(learned) >= LEARNED_MAX:
                learned.clear()
            learned.update(address for address in map(parse, addresses) if address)
            return addresses
        if answer.startswith("ERR") and is_certain(name):
            raise _socket.gaierror(_socket.EAI_NONAME, "%s: Name or service not known (kt: %s)" % (name, answer[4:]))
        return None

    # ---------------------------------------------------------------- names

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        addresses = None if flags & _socket.AI_NUMERICHOST else resolve(host)
        if addresses is None:
            return real_getaddrinfo(host, port, family, type, proto, flags)
        if family == _socket.AF_INET6 and not any(":" in address for address in addresses):
            raise _socket.gaierror(_socket.EAI_NONAME, "%s: no IPv6 address" % (host,))
        found = []
        for address in addresses:
            found += real_getaddrinfo(address, port, family, type, proto, flags)
        return found

    def gethostbyname(hostname):
        addresses = resolve(hostname)
        return addresses[0] if addresses else real_gethostbyname(hostname)

    def gethostbyname_ex(hostname):
        addresses = resolve(hostname)
        return (hostname, [], addresses) if addresses else real_gethostbyname_ex(hostname)

    # ---------------------------------------------------------------- connects

    def dial(connection, address, port):
        """The broker's port for this connection, or None: connect as it stands. Raises what a connect there would."""
        if connection.type & 0xF == _socket.SOCK_DGRAM:
            answer = ask("UDP %s %d" % (address, port), RESOLVE_SECONDS)
        else:
            timeout = connection.gettimeout()
            milliseconds = int((timeout or 0) * 1000)
            wait = " wait=%d" % NONBLOCKING_WAIT_MS if timeout == 0 else ""
            answer = ask("DIAL %s %d %d%s" % (address, port, milliseconds, wait), timeout + CONNECT_SECONDS if timeout else DIAL_SECONDS)
            if milliseconds and answer.startswith("ERR ETIMEDOUT"):
                raise _socket.timeout("timed out")
        if answer.startswith("OK "):
            return int(answer[3:])
        if answer.startswith("ERR "):
            name, _, reason = answer[4:].partition(" ")
            number = getattr(errno, name, errno.ECONNREFUSED)
            raise OSError(number, "%s (kt: %s)" % (os.strerror(number), reason))
        return None

    class KtSocket(real_socket):
        # (the address that was asked for, where it is connected to instead, the peer that the program shall see)
        __slots__ = ("_kt_dialled",)

        def _kt_target(self, address):
            """Where to connect instead of `address`."""
            dialled = getattr(self, "_kt_dialled", None)
            if dialled and dialled[0] == address:
                return dialled[1]  # gevent and others repeat a non-blocking connect until it is through
            self._kt_dialled = None
            if self.family not in (_socket.AF_INET, _socket.AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
                return address
            host, port = address[0], address[1]
            literal = parse(host)
            if literal is None:
                # connect(("orders", 80)): the C code would look the name up by itself.
                addresses = resolve(host)
                if not addresses:
                    return address
                host = addresses[0]
                literal = parse(host)
            if literal is None or not is_ours(literal):
                return address
            if not isinstance(port, int) or not 0 < port < 65536:
                return address
            if literal[0] == 32 and ":" in host:
                host = host[7:]
            local = dial(self, host, port)
            if local is None:
                return (host,) + tuple(address[1:])
            target = ("127.0.0.1", local) if self.family == _socket.AF_INET else ("::ffff:127.0.0.1", local)
            self._kt_dialled = (address, target, (host,) + tuple(address[1:]))
            return target

        def connect(self, address):
            try:
                return real_socket.connect(self, self._kt_target(address))
            except BlockingIOError:
                raise
            except OSError:
                self._kt_dialled = None
                raise

        def connect_ex(self, address):
            try:
                target = self._kt_target(address)
            except _socket.timeout:
                return errno.EAGAIN
            except _socket.gaierror:
                raise
            except OSError as error:
                return error.errno or errno.ECONNREFUSED
            result = real_socket.connect_ex(self, target)
            if result not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, errno.EISCONN):
                self._kt_dialled = None
            return result

        def getpeername(self):
            found = real_socket.getpeername(self)
            dialled = getattr(self, "_kt_dialled", None)
            return dialled[2] if dialled else found

    class UvloopFinder:
        """Lets uvloop be imported, and puts asyncio's loops behind its names: its own connect in C, past every hook."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "uvloop":
                return None
            from importlib.machinery import PathFinder

            spec = PathFinder.find_spec(name, path)
            if spec is None or spec.loader is None:
                return spec
            execute = spec.loader.exec_module

            def exec_module(module):
                import asyncio

                execute(module)
                module.new_event_loop = asyncio.new_event_loop
                module.Loop = asyncio.SelectorEventLoop
                module.EventLoopPolicy = getattr(asyncio, "DefaultEventLoopPolicy", module.EventLoopPolicy)
                module.install = lambda: None
                module.run = lambda main, loop_factory=None, debug=None, **options: asyncio.run(main, debug=debug)

            spec.loader.exec_module = exec_module
            return spec

    sys.meta_path.insert(0, UvloopFinder)
    KtSocket.__name__ = KtSocket.__qualname__ = real_socket.__name__
    KtSocket.__module__ = real_socket.__module__
    _socket.getaddrinfo = getaddrinfo
    _socket.gethostbyname = gethostbyname
    _socket.gethostbyname_ex = gethostbyname_ex
    _socket.socket = KtSocket
    loaded = sys.modules.get("socket")
    if loaded is not None:
        # Another start-up hook (a .pth file) was faster; its socket class has the real one as its base already.
        loaded.gethostbyname = gethostbyname
        loaded.gethostbyname_ex = gethostbyname_ex
        for name in ("_kt_target", "connect", "connect_ex"):
            setattr(loaded.socket, name, KtSocket.__dict__[name])
        loaded.socket._kt_dialled = None


def _hand_over():
    """Imports the sitecustomize that this one hides; its errors are the interpreter's to report, as always."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours


if sys.version_info[0] >= 3 and os.environ.get("KT_BROKER") and os.environ.get("KT_TOKEN"):
    try:
        _install()
    except Exception as error:
        sys.stderr.write("kt: the Python shim could not be set up, cluster names and addresses cannot be reached: %r\n" % (error,))
_hand_over()
