package kt;

/**
 * Tells libraries that read http.proxyHost themselves (and so never meet the ProxySelector hook) what is the cluster's, in the words of
 * http.nonProxyHosts: patterns with one * at an end. Short names can not be said in it.
 */
final class NonProxyHosts {
    /** Networks that would need more patterns than this are left out. */
    private static final int PATTERNS_MAX = 256;
    /** What the JDK uses when the property is not set. */
    private static final String DEFAULT = "localhost|127.*|[::1]";

    private NonProxyHosts() {}

    static void extend(String cidrs) {
        if (cidrs == null) return;
        String given = System.getProperty("http.nonProxyHosts");
        System.setProperty("http.nonProxyHosts", (given == null ? DEFAULT : given) + "|*.svc|*.cluster.local" + patterns(cidrs));
    }

    /** 10.96.0.0/12 becomes |10.96.*|10.97.*|...|10.111.* */
    static String patterns(String cidrs) {
        StringBuilder all = new StringBuilder();
        for (String cidr : cidrs.split(",")) {
            String[] octets = cidr.trim().split("[./]");
            if (octets.length != 5) continue; // none, or IPv6
            int prefix = Integer.parseInt(octets[4]);
            if (prefix == 0) continue;
            // The last octet that the prefix touches takes all values that the rest of the prefix leaves open.
            int last = (prefix - 1) / 8;
            int values = 1 << (8 * (last + 1) - prefix);
            if (values > PATTERNS_MAX) continue;
            int first = Integer.parseInt(octets[last]) / values * values;
            for (int value = first; value < first + values; value++) {
                all.append('|');
                for (int i = 0; i < last; i++) all.append(octets[i]).append('.');
                all.append(value).append(last < 3 ? ".*" : "");
            }
        }
        return all.toString();
    }
}
