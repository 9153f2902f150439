package kt;

/**
 * Every place that is hooked, with the JDKs and library versions that have it. Adding a hook is adding an entry here and a method to
 * java.net.KtHook. Hooks sit as low as possible, so that everything above sees the program's own addresses.
 */
final class HookPoints {
    private static final String INET = "Ljava/net/InetAddress;";
    private static final String ISA = "Ljava/net/InetSocketAddress;";
    private static final String SOCKET_ADDRESS = "Ljava/net/SocketAddress;";
    private static final String DESCRIPTOR = "Ljava/io/FileDescriptor;";

    private HookPoints() {}

    /** Classes of the JDK, by their whole name. */
    static final HookPoint[] JDK = {
        // Name lookups, below the JDK's cache. 8-28.
        new HookPoint("java/net/InetAddress", "getAddressesFromNameService", "(Ljava/lang/String;")
            .object(0).call("resolve", "(Ljava/lang/String;)[" + INET).returnUnlessNull("[" + INET),
        // How long it is remembered that a name is not there: not, where kt was away. 8-28.
        new HookPoint("sun/net/InetAddressCachePolicy", "getNegative", "()I").call("uncached", "()Z").returnFalseIfTrue(),
        // The one point below SocketChannel, asynchronous channels on Unix, NioSocketImpl (13+) and DatagramChannel. 8-28.
        new HookPoint("sun/nio/ch/Net", "connect", "(Ljava/net/ProtocolFamily;" + DESCRIPTOR + INET + "I)I")
            .object(1).object(2).integer(3).call("port", "(" + DESCRIPTOR + INET + "I)I")
            .object(2).integer(3).call("addr", "(" + INET + "I)" + INET).storeObject(2).storeInteger(3),
        // java.net.Socket up to 12 (up to 17 with usePlainSocketImpl).
        new HookPoint("java/net/AbstractPlainSocketImpl", "doConnect", "(" + INET + "II)V")
            .object(1).integer(2).integer(3).call("preSocket", "(" + INET + "II)V")
            .nothing().object(1).integer(2).call("port", "(" + DESCRIPTOR + INET + "I)I")
            .object(1).integer(2).call("addr", "(" + INET + "I)" + INET).storeObject(1).storeInteger(2),
        // java.net.Socket from 13 on: here its timeout is known.
        new HookPoint("sun/nio/ch/NioSocketImpl", "connect", "(" + SOCKET_ADDRESS + "I)V")
            .object(1).integer(2).call("pre", "(" + SOCKET_ADDRESS + "I)V"),
        // Blocking channels may wait for the far end as long as it takes. 8-28.
        new HookPoint("sun/nio/ch/SocketChannelImpl", "connect", "(" + SOCKET_ADDRESS + ")Z")
            .object(0).object(1).call("preChannel", "(Ljava/nio/channels/SelectableChannel;" + SOCKET_ADDRESS + ")V"),
        // Asynchronous channels on Windows do not pass Net.connect. 8-28; from the source, not run.
        new HookPoint("sun/nio/ch/WindowsAsynchronousSocketChannelImpl$ConnectTask", "<init>", "(Lsun/nio/ch/WindowsAsynchronousSocketChannelImpl;" + ISA)
            .object(2).call("isaQuiet", "(" + ISA + ")" + ISA).storeObject(2),
        // -Dhttp.proxyHost of the company. 8-28.
        new HookPoint("sun/net/spi/DefaultProxySelector", "select", "(Ljava/net/URI;)Ljava/util/List;")
            .object(1).call("direct", "(Ljava/net/URI;)Ljava/util/List;").returnUnlessNull("java/util/List"),
        // JNDI's dns: provider (SRV records of mongodb+srv). 8-28.
        new HookPoint("sun/net/dns/ResolverConfigurationImpl", "nameservers", "()Ljava/util/List;")
            .object(0).call("nameservers", "(Ljava/lang/Object;)Ljava/util/List;").returnUnlessNull("java/util/List"),
    };

    /** Classes of libraries, by the end of their name. */
    static final HookPoint[] LIBRARIES = {
        // epoll and kqueue. Netty 4.1, 4.2.
        new HookPoint("io/netty/channel/unix/Socket", "connect", "(" + SOCKET_ADDRESS + ")Z")
            .object(1).call("sa", "(" + SOCKET_ADDRESS + ")" + SOCKET_ADDRESS).storeObject(1),
        // io_uring. Netty 4.2.
        new HookPoint("io/netty/channel/uring/AbstractIoUringChannel", "submitConnect", "(" + ISA + ")V")
            .object(1).call("isa", "(" + ISA + ")" + ISA).storeObject(1),
        // remoteAddress() of the native transports. Netty 4.1, 4.2.
        new HookPoint("io/netty/channel/unix/UnixChannelUtil", "computeRemoteAddr", "(" + ISA + ISA + ")" + ISA)
            .object(0).object(1).call("remote", "(" + ISA + ISA + ")" + ISA).returnUnlessNull("java/net/InetSocketAddress"),
        // Netty's own DNS client: answered like its hosts file. Netty 4.1, 4.2.
        new HookPoint("io/netty/resolver/dns/DnsNameResolver", "resolveHostsFileEntry", "(Ljava/lang/String;)" + INET)
            .object(1).call("one", "(Ljava/lang/String;)" + INET).returnUnlessNull("java/net/InetAddress"),
        new HookPoint("io/netty/resolver/dns/DnsNameResolver", "resolveHostsFileEntries", "(Ljava/lang/String;)Ljava/util/List;")
            .object(1).call("many", "(Ljava/lang/String;)Ljava/util/List;").returnUnlessNull("java/util/List"),
        // WebClient reads http.proxyHost itself. Reactor Netty 1.2, 1.3.
        new HookPoint("reactor/netty/transport/ProxyProvider", "shouldProxy", "(" + SOCKET_ADDRESS + ")Z")
            .object(1).call("ours", "(" + SOCKET_ADDRESS + ")Z").returnFalseIfTrue(),
    };
}
