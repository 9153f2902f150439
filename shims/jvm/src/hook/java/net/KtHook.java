package java.net;

import java.io.FileDescriptor;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.channels.SelectableChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/**
 * What the inserted prologues call (the table of them is kt.HookPoints). Lives in the exported package java.net of java.base,
 * so that every class loader of the program reaches it. Each method is harmless for what is not the cluster's: it returns its argument,
 * or null for "go on as before". Compiled for Java 8; without inner classes and lambdas, because it is defined by hand. Raw types, because
 * each generic signature costs the jar more bytes than a cast.
 */
@SuppressWarnings({"rawtypes", "unchecked"})
public final class KtHook {
    /** Milliseconds that a non-blocking connect may wait for a true refusal before it goes on with the dial under way. */
    private static final int WAIT = Integer.getInteger("kt.nio.wait", 100);

    private static boolean ready;
    private static String dns;
    /** {address, port, local port}: what port() found out for the addr() that follows in the same prologue, or what a dial ahead did. */
    private static final ThreadLocal DIALLED = new ThreadLocal();
    /** Set while nameservers() asks the original method, which has the same prologue. */
    private static final ThreadLocal INSIDE = new ThreadLocal();
    /** Set while a lookup fails because kt is away: that is not to be remembered. */
    private static final ThreadLocal AWAY = new ThreadLocal();
    private static Method socketOption;

    private KtHook() {}

    /** `settings`: the environment, or what a session file says. */
    public static void init(Map settings) {
        KtBroker.init(settings);
        KtCluster.init(settings);
        dns = (String) settings.get("KT_DNS");
        ready = true;
    }

    static String setting(Map settings, String name) {
        Object value = settings.get(name);
        return value == null ? "" : (String) value;
    }

    // ------------------------------------------------------------------ names

    /** InetAddress's lookup, below its cache. null: not a cluster name. */
    public static InetAddress[] resolve(String host) throws UnknownHostException {
        String name = ready ? KtCluster.candidate(host) : null;
        if (name == null) return null;
        String answer;
        try {
            answer = KtBroker.resolve(name);
        } catch (IOException e) {
            AWAY.set(e);
            // A short name may also be the office network's: then the system's resolver is asked, as without kt.
            if (!KtCluster.certain(name)) return null;
            throw new UnknownHostException(host + ": " + e.getMessage());
        }
        if (answer.startsWith("OK ")) {
            String[] texts = answer.substring(3).split(" ");
            InetAddress[] addresses = new InetAddress[texts.length];
            for (int i = 0; i < texts.length; i++) {
                // An address literal: no lookup, and the name stays attached to it.
                addresses[i] = InetAddress.getByAddress(host, InetAddress.getByName(texts[i]).getAddress());
                KtCluster.learn(addresses[i]);
            }
            return addresses;
        }
        if (answer.startsWith("ERR") && KtCluster.certain(name)) throw new UnknownHostException(host + " (kt: " + answer.substring(4) + ")");
        return null;
    }

    /** The JDK remembers for 10 seconds that a name is not there; kt may be back before. */
    public static boolean uncached() {
        boolean away = AWAY.get() != null;
        AWAY.remove();
        return away;
    }

    /** Netty's own resolver: answered like an entry of the hosts file. */
    public static InetAddress one(String host) {
        List all = many(host);
        return all == null ? null : (InetAddress) all.get(0);
    }

    public static List many(String host) {
        try {
            InetAddress[] addresses = resolve(host);
            return addresses == null ? null : Arrays.asList(addresses);
        } catch (UnknownHostException e) {
            return null;
        }
    }

    /**
     * JNDI's DNS (SRV and TXT, as mongodb+srv asks): kt's DNS first. It answers REFUSED to what is not the cluster's, and JNDI then goes
     * on to the next server.
     */
    public static List nameservers(Object configuration) {
        if (!ready || dns == null || INSIDE.get() != null) return null;
        INSIDE.set(Boolean.TRUE);
        List servers = new ArrayList();
        try {
            // A datagram does not tell whether kt is there; this finds one that was started again.
            KtBroker.resolve("localhost");
            servers.add(dns);
            Method original = configuration.getClass().getMethod("nameservers");
            original.setAccessible(true);
            servers.addAll((List) original.invoke(configuration));
        } catch (Exception e) {
            return null;
        } finally {
            INSIDE.remove();
        }
        return servers;
    }

    // ------------------------------------------------------------------ proxies

    /** What is the cluster's never goes through the company's proxy. */
    public static List direct(URI uri) {
        return uri != null && ours(uri.getHost()) ? Collections.singletonList(Proxy.NO_PROXY) : null;
    }

    public static boolean ours(SocketAddress address) {
        if (!(address instanceof InetSocketAddress)) return false;
        InetSocketAddress inet = (InetSocketAddress) address;
        return inet.isUnresolved() ? ours(inet.getHostString()) : ready && KtCluster.has(inet.getAddress());
    }

    private static boolean ours(String host) {
        if (!ready || host == null || host.isEmpty()) return false;
        try {
            if (KtCluster.candidate(host) != null) return resolve(host) != null;
            // Names that are no candidates must not be looked up here: only literals get this far.
            boolean literal = host.indexOf(':') >= 0 || (host.charAt(host.length() - 1) >= '0' && host.charAt(host.length() - 1) <= '9');
            return literal && KtCluster.has(InetAddress.getByName(host));
        } catch (UnknownHostException e) {
            return KtCluster.certain(host);
        }
    }

    // ------------------------------------------------------------------ connects

    /** Before a blocking connect: the far end is dialled with the program's own limit, so that a refusal is a refusal. */
    public static void pre(SocketAddress address, int timeout) throws IOException {
        DIALLED.remove();
        if (!ready || !(address instanceof InetSocketAddress)) return;
        InetSocketAddress inet = (InetSocketAddress) address;
        preSocket(inet.getAddress(), inet.getPort(), timeout);
    }

    public static void preChannel(SelectableChannel channel, SocketAddress address) throws IOException {
        if (channel.isBlocking()) pre(address, 0);
        else DIALLED.remove();
    }

    public static void preSocket(InetAddress address, int port, int timeout) throws IOException {
        if (!ready || !KtCluster.has(address)) return;
        String answer;
        try {
            answer = KtBroker.dial(address, port, timeout, null);
        } catch (SocketTimeoutException e) {
            throw new SocketTimeoutException("Connect timed out");
        }
        // With a limit of the program's own the JDK's exception for it is this one.
        if (timeout > 0 && answer.startsWith("ERR ETIMEDOUT")) throw new SocketTimeoutException("Connect timed out");
        DIALLED.set(new Object[] {address, port, localPort(answer, port)});
    }

    /** The port to connect to. addr() follows in the same prologue and takes what was found out. */
    public static int port(FileDescriptor descriptor, InetAddress address, int port) throws IOException {
        if (!ready || !KtCluster.has(address)) return port;
        Object[] dialled = (Object[]) DIALLED.get();
        if (dialled == null || !address.equals(dialled[0]) || (Integer) dialled[1] != port) {
            boolean datagrams = descriptor != null && isDatagram(descriptor);
            String answer = datagrams ? KtBroker.udp(address, port) : KtBroker.dial(address, port, 0, WAIT);
            dialled = new Object[] {address, port, localPort(answer, port)};
            DIALLED.set(dialled);
        }
        int local = (Integer) dialled[2];
        return local < 0 ? port : local;
    }

    /** The address to connect to. `port` is the program's, as it was for port(). */
    public static InetAddress addr(InetAddress address, int port) {
        Object[] dialled = ready ? (Object[]) DIALLED.get() : null;
        if (dialled == null || !dialled[0].equals(address) || (Integer) dialled[1] != port) return address;
        DIALLED.remove();
        return (Integer) dialled[2] < 0 ? address : KtBroker.loopback();
    }

    /** A whole socket address, for Netty's native transports. */
    public static SocketAddress sa(SocketAddress address) throws IOException {
        return address instanceof InetSocketAddress ? isa((InetSocketAddress) address) : address;
    }

    public static InetSocketAddress isa(InetSocketAddress address) throws IOException {
        if (!ready || !KtCluster.has(address.getAddress())) return address;
        int local = localPort(KtBroker.dial(address.getAddress(), address.getPort(), 0, WAIT), address.getPort());
        return local < 0 ? address : new InetSocketAddress(KtBroker.loopback(), local);
    }

    /** The same where nothing may be thrown: a refused dial becomes a connect to a port that refuses. */
    public static InetSocketAddress isaQuiet(InetSocketAddress address) {
        try {
            return isa(address);
        } catch (IOException e) {
            return new InetSocketAddress(KtBroker.loopback(), 1);
        }
    }

    /** Netty's native transports ask the kernel for the peer, which is the broker's port: the program sees what it asked for. */
    public static InetSocketAddress remote(InetSocketAddress asked, InetSocketAddress found) {
        if (!ready || asked == null || found == null || found.getAddress() == null) return null;
        return found.getAddress().isLoopbackAddress() && KtCluster.has(asked.getAddress()) ? asked : null;
    }

    /** The broker's port; -1 where it says that the address is not the cluster's. Throws what the JDK throws for the far end's errno. */
    private static int localPort(String answer, int port) throws IOException {
        if (answer.startsWith("OK ")) return Integer.parseInt(answer.substring(3));
        if (!answer.startsWith("ERR ")) return -1;
        String reason = " (kt: " + answer.substring(4) + ")";
        if (answer.startsWith("ERR EHOSTUNREACH") || answer.startsWith("ERR ENETUNREACH")) throw new NoRouteToHostException("No route to host" + reason);
        if (answer.startsWith("ERR ETIMEDOUT")) throw new ConnectException("Connection timed out" + reason);
        throw new ConnectException("Connection refused" + reason);
    }

    /** SO_TYPE of a descriptor: Net.connect serves TCP and UDP alike. */
    private static boolean isDatagram(FileDescriptor descriptor) {
        try {
            if (socketOption == null) {
                Method method = Class.forName("sun.nio.ch.Net", true, null)
                        .getDeclaredMethod("getIntOption0", FileDescriptor.class, boolean.class, int.class, int.class);
                method.setAccessible(true);
                socketOption = method;
            }
            // SOL_SOCKET and SO_TYPE: Linux has numbers of its own, all others have BSD's.
            boolean linux = System.getProperty("os.name", "").startsWith("Linux");
            Object type = socketOption.invoke(null, descriptor, false, linux ? 1 : 0xffff, linux ? 3 : 0x1008);
            return (Integer) type == 2;
        } catch (Exception e) {
            return false;
        }
    }
}
