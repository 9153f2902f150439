package kt;

import java.io.DataInputStream;
import java.io.File;
import java.lang.instrument.Instrumentation;
import java.lang.reflect.Field;
import java.security.ProtectionDomain;
import java.util.zip.ZipFile;

/**
 * Puts the hook classes into package java.net of java.base, where every class loader sees them. Not by the boot class path:
 * appending to that makes the JVM print a warning and give up class data sharing.
 */
final class HookClasses {
    /** As many as build.sh writes. */
    private static final int COUNT = 3;

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
        byte[][] classes = read();
        if (!System.getProperty("java.specification.version").startsWith("1.")) Define9.define(instrumentation, classes);
        else for (byte[] code : classes) define8(code);
    }

    /** Java 8 has no modules to respect, and no other way. */
    private static void define8(byte[] code) throws Exception {
        Class<?> unsafe = Class.forName("sun.misc.Unsafe");
        Field instance = unsafe.getDeclaredField("theUnsafe");
        instance.setAccessible(true);
        unsafe.getMethod("defineClass", String.class, byte[].class, int.class, int.class, ClassLoader.class, ProtectionDomain.class)
            .invoke(instance.get(null), null, code, 0, code.length, null, null);
    }

    /** From the jar itself: getResourceAsStream takes forty classes of the JDK more, and 7 ms. */
    private static byte[][] read() throws Exception {
        ZipFile jar = new ZipFile(new File(HookClasses.class.getProtectionDomain().getCodeSource().getLocation().toURI()));
        try {
            DataInputStream in = new DataInputStream(jar.getInputStream(jar.getEntry("kt/hook.bin")));
            byte[][] classes = new byte[COUNT][];
            for (int i = 0; i < COUNT; i++) in.readFully(classes[i] = new byte[in.readInt()]);
            return classes;
        } finally {
            jar.close();
        }
    }
}
