package java.net;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import java.util.Properties;

/**
 * Asks kt's broker on 127.0.0.1: one line there, one line back (src/netstack/broker/protocol.codec.ts). Every wait has an end, and a
 * kt that is gone gives one line on stderr for each process and a clear exception. A kt that was started again since is found by the
 * session file (src/session/session-file.ts). Called by KtHook only.
 */
@SuppressWarnings({"rawtypes", "unchecked"})
final class KtBroker {
    /** Longer than the broker's own limits: it knows the better reason. */
    private static final int RESOLVE_MS = 15000;
    private static final int DIAL_MS = 30000;
    private static final int MARGIN_MS = 2000;

    /** The one that is asked now: {port, token}, which change together. */
    private static volatile Object[] endpoint;
    private static String file;
    private static boolean debug;
    /** The first question of a process says who asks. A second HELLO by a race would do no harm. */
    private static volatile boolean introduced;
    private static volatile boolean warned;

    private KtBroker() {}

    static void init(Map settings) {
        String address = (String) settings.get("KT_BROKER");
        if (endpoint == null) {
            file = (String) settings.get("KT_SESSION_FILE");
            debug = "1".equals(settings.get("KT_DEBUG"));
        }
        endpoint = new Object[] {Integer.valueOf(address.substring(address.lastIndexOf(':') + 1)), settings.get("KT_TOKEN")};
    }

    /** Made when it is wanted: see KtCluster.networks. */
    static InetAddress loopback() {
        try {
            return InetAddress.getByAddress("127.0.0.1", new byte[] {127, 0, 0, 1});
        } catch (UnknownHostException e) {
            throw new IllegalStateException(e); // never: four bytes are an address
        }
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
        Object[] asked = endpoint;
        try {
            return ask(asked, question, timeoutMs);
        } catch (ConnectException e) {
            if (found(asked)) return ask(endpoint, question, timeoutMs);
            if (!warned) {
                warned = true;
                System.err.println("kt: " + e.getMessage());
            }
            throw e;
        }
    }

    private static String ask(Object[] endpoint, String question, int timeoutMs) throws IOException {
        Socket socket = new Socket(Proxy.NO_PROXY);
        String reason = "connection closed";
        try {
            socket.connect(new InetSocketAddress(loopback(), (Integer) endpoint[0]), MARGIN_MS);
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(timeoutMs);
            boolean hello = !introduced;
            introduced = true;
            String start = "KT1 " + endpoint[1] + " ";
            socket.getOutputStream().write(((hello ? start + "HELLO java " + System.getProperty("java.version") + " " + pid() + "\n" : "") + start + question + "\n").getBytes("ISO-8859-1"));
            InputStream in = socket.getInputStream();
            String answer = line(in);
            if (hello && answer.equals("OK")) answer = line(in);
            if (debug) System.err.println("[kt] " + question + " -> " + answer);
            // Not one of the broker's: its port is another program's now. A wrong token: another kt's.
            if ((answer.startsWith("OK") || answer.startsWith("NO") || answer.startsWith("ERR ")) && !answer.startsWith("ERR EACCES wrong")) return answer;
            if (!answer.isEmpty()) reason = answer;
        } catch (SocketTimeoutException e) {
            throw e;
        } catch (IOException e) {
            reason = e.getMessage();
        } finally {
            socket.close();
        }
        introduced = false;
        throw new ConnectException("kt is not running (127.0.0.1:" + endpoint[0] + ": " + reason + "); cluster names and addresses cannot be reached");
    }

    /** Has another kt been started since `asked` was asked? */
    private static synchronized boolean found(Object[] asked) {
        if (asked != endpoint) return true; // by another thread
        try {
            Properties settings = new Properties();
            FileInputStream in = new FileInputStream(file);
            try {
                settings.load(in);
            } finally {
                in.close();
            }
            if (asked[1].equals(settings.get("KT_TOKEN"))) return false;
            KtHook.init(settings);
        } catch (Exception e) {
            return false;
        }
        if (warned) System.err.println("kt: kt is running again");
        warned = false;
        return true;
    }

    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c; (c = in.read()) != -1 && c != '\n' && line.length() < 512;) line.append((char) c);
        return line.toString();
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
