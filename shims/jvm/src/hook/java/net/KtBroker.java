package java.net;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * Asks kt's broker on 127.0.0.1: one line there, one line back (src/netstack/broker/protocol.codec.ts). Every wait has an end, and a
 * kt that is gone gives one line on stderr for each process and a clear exception. Called by KtHook only.
 */
final class KtBroker {
    /** Longer than the broker's own limits: it knows the better reason. */
    private static final int RESOLVE_MS = 15000;
    private static final int DIAL_MS = 30000;
    private static final int MARGIN_MS = 2000;

    private static String token = "";
    private static int port;
    private static boolean debug;
    /** The first question of a process says who asks. A second HELLO by a race would do no harm. */
    private static volatile boolean introduced;
    private static volatile boolean warned;
    private static InetAddress loopback;

    private KtBroker() {}

    static void init(String address, String secret, boolean verbose) throws UnknownHostException {
        port = Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
        token = secret;
        debug = verbose;
        loopback = InetAddress.getByAddress("127.0.0.1", new byte[] {127, 0, 0, 1});
    }

    static InetAddress loopback() {
        return loopback;
    }

    static String resolve(String name) throws IOException {
        return ask("RESOLVE " + name, RESOLVE_MS);
    }

    /** @param timeout of the program, 0: none; @param wait null, or milliseconds after which a connect that is under way must do */
    static String dial(InetAddress address, int to, int timeout, Integer wait) throws IOException {
        String question = "DIAL " + text(address) + " " + to + " " + timeout + (wait == null ? "" : " wait=" + wait);
        return ask(question, timeout > 0 ? timeout + MARGIN_MS : DIAL_MS);
    }

    static String udp(InetAddress address, int to) throws IOException {
        return ask("UDP " + text(address) + " " + to, RESOLVE_MS);
    }

    private static String text(InetAddress address) {
        String text = address.getHostAddress();
        int scope = text.indexOf('%');
        return scope < 0 ? text : text.substring(0, scope);
    }

    /** ConnectException when kt is away, SocketTimeoutException when it does not answer. */
    private static String ask(String question, int timeoutMs) throws IOException {
        Socket socket = new Socket(Proxy.NO_PROXY);
        try {
            try {
                socket.connect(new InetSocketAddress(loopback, port), MARGIN_MS);
            } catch (IOException e) {
                introduced = false;
                throw away(e.getMessage());
            }
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(timeoutMs);
            boolean hello = !introduced;
            introduced = true;
            OutputStream out = socket.getOutputStream();
            out.write(((hello ? "KT1 " + token + " HELLO java " + System.getProperty("java.version") + " " + pid() + "\n" : "") + "KT1 " + token + " " + question + "\n").getBytes("ISO-8859-1"));
            InputStream in = socket.getInputStream();
            String answer = line(in);
            if (hello && answer.equals("OK")) answer = line(in);
            if (answer.isEmpty()) throw away("connection closed");
            if (debug) System.err.println("[kt] " + question + " -> " + answer);
            return answer;
        } finally {
            socket.close();
        }
    }

    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c; (c = in.read()) != -1 && c != '\n' && line.length() < 512;) line.append((char) c);
        return line.toString();
    }

    private static ConnectException away(String reason) {
        String text = "kt is not running (127.0.0.1:" + port + ": " + reason + "); cluster names and addresses cannot be reached";
        if (!warned) {
            warned = true;
            System.err.println("kt: " + text);
        }
        return new ConnectException(text);
    }

    /** ProcessHandle is Java 9; the management bean would load far too much. 0 where the system does not tell. */
    private static String pid() {
        try {
            return String.valueOf(ProcessHandle.current().pid());
        } catch (LinkageError e) {
            return "0";
        }
    }
}
