package io.kt.agent;

import java.lang.instrument.ClassFileTransformer;
import java.security.ProtectionDomain;

/** Patches the classes of HookPoints as they are loaded. A hook that does not fit costs one line on stderr, never the program. */
final class HookTransformer implements ClassFileTransformer {
    private final boolean debug;

    HookTransformer(boolean debug) {
        this.debug = debug;
    }

    @Override
    public byte[] transform(ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain, byte[] file) {
        // Called for every class of the program: the first comparison has to be cheap.
        if (name == null || (loader == null ? !isJdkCandidate(name) : !isLibraryCandidate(name))) return null;
        byte[] patched = null;
        boolean wanted = false;
        try {
            for (HookPoint point : loader == null ? HookPoints.JDK : HookPoints.LIBRARIES) {
                if (loader == null ? !name.equals(point.type) : !isLibrary(name, point.type)) continue;
                wanted = true;
                byte[] result = ClassPatcher.apply(patched == null ? file : patched, point.method, point.descriptor, point.prologue);
                if (result != null) patched = result;
            }
        } catch (Exception e) {
            System.err.println("kt: could not hook " + name + ", connections that use it may not reach the cluster: " + e);
            return null;
        }
        if (wanted && patched == null) System.err.println("kt: " + name + " has no method to hook in this version; connections that use it may not reach the cluster");
        if (patched != null && debug) System.err.println("[kt] hooked " + name);
        return patched;
    }

    static boolean isJdkCandidate(String name) {
        return name.startsWith("java/net/") || name.startsWith("sun/nio/ch/") || name.startsWith("sun/net/spi/") || name.startsWith("sun/net/dns/");
    }

    private static boolean isLibraryCandidate(String name) {
        return name.endsWith("/Socket") || name.endsWith("/AbstractIoUringChannel") || name.endsWith("/UnixChannelUtil") || name.endsWith("/DnsNameResolver")
            || name.endsWith("/ProxyProvider");
    }

    /** The library itself, or a copy under another package: `com/alibaba/nacos/shaded/io/grpc/netty/shaded/io/netty/...`. */
    private static boolean isLibrary(String name, String type) {
        return name.endsWith(type) && (name.length() == type.length() || name.charAt(name.length() - type.length() - 1) == '/');
    }
}
