package java.net;

import java.util.Arrays;
import java.util.Locale;
import java.util.Map;

/**
 * What is the cluster's: networks, addresses that names turned out to be, and names worth a question to the broker.
 * Knows no sockets. Lives in java.base like KtHook, which is its only caller; without inner classes and lambdas, because each
 * class here is defined by hand (kt.HookClasses).
 */
@SuppressWarnings({"rawtypes", "unchecked"})
final class KtCluster {
    /** Addresses learned from names; the memory must not grow with a program that resolves for ever. */
    private static final int LEARNED_MAX = 4096;

    /**
     * The bytes of each, and its prefix length behind them; null: not read yet. Not before the first connect, because InetAddress that is
     * loaded for it while the agent starts would have to be patched there and then, and most JVMs of a build never need it.
     */
    private static volatile byte[][] networks;
    private static String[] cidrs;
    private static String[] suffixes = new String[0];
    private static String hostname;
    private static final java.util.Set LEARNED = java.util.concurrent.ConcurrentHashMap.newKeySet();

    private KtCluster() {}

    /** As src/modes/run-env.ts writes them: `10.96.0.0/12,fd00::/108`, `.shop,.corp.example` and the laptop's own name, all in lower case. */
    static void init(Map settings) {
        String all = KtHook.setting(settings, "KT_CIDRS");
        cidrs = all.isEmpty() ? new String[0] : all.split(",");
        networks = null;
        suffixes = (".svc,.cluster.local," + KtHook.setting(settings, "KT_SUFFIXES")).split(",");
        if (hostname == null) hostname = KtHook.setting(settings, "KT_HOSTNAME");
    }

    /** InetAddress gives IPv4-mapped addresses as IPv4 already. */
    static boolean has(InetAddress address) {
        if (address == null) return false;
        byte[] bytes = address.getAddress();
        byte[][] known = networks;
        if (known == null) networks = known = read(cidrs);
        for (byte[] network : known) if (within(bytes, network)) return true;
        return LEARNED.contains(address);
    }

    private static byte[][] read(String[] list) {
        byte[][] parsed = new byte[list.length][];
        for (int i = 0; i < list.length; i++) {
            int slash = list[i].indexOf('/');
            try {
                byte[] address = InetAddress.getByName(list[i].substring(0, slash)).getAddress();
                parsed[i] = Arrays.copyOf(address, address.length + 1);
                parsed[i][address.length] = (byte) Integer.parseInt(list[i].substring(slash + 1));
            } catch (UnknownHostException e) {
                parsed[i] = new byte[1]; // of no address's length
            }
        }
        return parsed;
    }

    private static boolean within(byte[] address, byte[] network) {
        if (address.length != network.length - 1) return false;
        int prefix = network[address.length] & 0xff;
        int whole = prefix / 8;
        for (int i = 0; i < whole; i++) if (address[i] != network[i]) return false;
        int rest = prefix % 8;
        return rest == 0 || ((address[whole] ^ network[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
    }

    static void learn(InetAddress address) {
        if (LEARNED.size() >= LEARNED_MAX) LEARNED.clear();
        LEARNED.add(address);
    }

    /** The name as the broker is asked for it, or null where it can not be a cluster name: that is decided without a question. */
    static String candidate(String host) {
        if (host == null || host.isEmpty() || host.length() > 253) return null;
        String name = host.toLowerCase(Locale.ROOT);
        if (name.endsWith(".")) name = name.substring(0, name.length() - 1);
        if (name.equals("localhost") || name.endsWith(".localhost") || name.equals(hostname)) return null;
        int dots = 0;
        boolean letter = false;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (c == '.') dots++;
            else if ((c >= 'a' && c <= 'z') || c == '_' || c == '-') letter = true;
            else if (c < '0' || c > '9') return null; // an IPv6 address, or nothing that a line of the protocol could carry
        }
        if (!letter) return null;
        return dots <= 1 || certain(name) ? name : null;
    }

    /** Only the cluster can know this name (lower case, no trailing dot). */
    static boolean certain(String name) {
        String dotted = "." + name;
        for (String suffix : suffixes) if (dotted.endsWith(suffix)) return true;
        return name.contains(".svc.");
    }
}
