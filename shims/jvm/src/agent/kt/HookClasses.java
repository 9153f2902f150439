package kt;

import java.io.IOException;
import java.io.InputStream;
import java.lang.instrument.Instrumentation;
import java.lang.reflect.Field;
import java.security.ProtectionDomain;
import java.util.Arrays;

/**
 * Puts the hook classes into package java.net of java.base, where every class loader sees them. Not by the boot class path:
 * appending to that makes the JVM print a warning and give up class data sharing.
 */
final class HookClasses {
    private HookClasses() {}

    /** Also when the agent is given twice. */
    static boolean alreadyThere() {
        try {
            Class.forName("java.net.KtHook", false, null);
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    /** Each with its length in front (build.sh). KtHook is the last: it is the proof that all are there. */
    static void define(Instrumentation instrumentation) throws Exception {
        boolean modules = !System.getProperty("java.specification.version").startsWith("1.");
        byte[] all = read("/kt/hook.bin");
        for (int at = 0; at < all.length;) {
            int start = at + 4;
            at = start + ClassPatcher.i4(all, at);
            byte[] code = Arrays.copyOfRange(all, start, at);
            if (modules) Define9.define(instrumentation, code);
            else define8(code);
        }
    }

    /** Java 8 has no modules to respect, and no other way. */
    private static void define8(byte[] code) throws Exception {
        Class<?> unsafe = Class.forName("sun.misc.Unsafe");
        Field instance = unsafe.getDeclaredField("theUnsafe");
        instance.setAccessible(true);
        unsafe.getMethod("defineClass", String.class, byte[].class, int.class, int.class, ClassLoader.class, ProtectionDomain.class)
            .invoke(instance.get(null), null, code, 0, code.length, null, null);
    }

    private static byte[] read(String resource) throws IOException {
        InputStream in = HookClasses.class.getResourceAsStream(resource);
        if (in == null) throw new IOException(resource);
        try {
            ByteWriter out = new ByteWriter();
            byte[] chunk = new byte[16384];
            for (int n; (n = in.read(chunk)) > 0;) out.copy(chunk, 0, n);
            return out.toBytes();
        } finally {
            in.close();
        }
    }
}
