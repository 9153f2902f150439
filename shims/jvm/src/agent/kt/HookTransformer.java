package kt;

import java.lang.instrument.ClassFileTransformer;
import java.security.ProtectionDomain;

/** Patches the classes of HookPoints as they are loaded. A hook that does not fit costs one line on stderr, never the program. */
final class HookTransformer implements ClassFileTransformer {
    // Held here: the first look at HookPoints must not come from within transform(), which is also asked about HookPoints itself.
    private final HookPoint[] jdk = HookPoints.JDK;
    private final HookPoint[] libraries = HookPoints.LIBRARIES;
    private final boolean debug;

    HookTransformer(boolean debug) {
        this.debug = debug;
    }

    @Override
    public byte[] transform(ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain, byte[] file) {
        // Called for every class of the program; nearly all differ in length or in the last character.
        if (name == null) return null;
        byte[] patched = null;
        boolean wanted = false;
        try {
            for (HookPoint point : loader == null ? jdk : libraries) {
                // Of a library also copies under other packages: `com/alibaba/nacos/shaded/io/grpc/netty/shaded/io/netty/...`.
                if (loader == null ? !name.equals(point.type) : !name.endsWith(point.type)) continue;
                wanted = true;
                byte[] result = ClassPatcher.apply(patched == null ? file : patched, point);
                if (result != null) patched = result;
            }
        } catch (Exception e) {
            System.err.println("kt: could not hook " + name + ": " + e);
            return null;
        }
        if (wanted && patched == null) System.err.println("kt: could not hook " + name + ": no such method");
        if (patched != null && debug) System.err.println("[kt] hooked " + name);
        return patched;
    }
}
