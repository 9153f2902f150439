package kt;

import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.lang.instrument.UnmodifiableClassException;
import java.security.ProtectionDomain;

/**
 * Started by the JVM before the program's main (-javaagent in JAVA_TOOL_OPTIONS, set by `kt run`). Defines the hook classes, patches the
 * classes of HookPoints that are loaded already, and the others as they are loaded. Without kt's variables it does nothing; whatever goes
 * wrong, the program runs. Every JVM of a build waits for this: one class less to load is a third of a millisecond.
 */
public final class Agent implements ClassFileTransformer {
    // Held here: the first look at HookPoints must not come from within transform(), which is also asked about HookPoints itself.
    private final HookPoint[] jdk = HookPoints.JDK;
    private final HookPoint[] libraries = HookPoints.LIBRARIES;
    private final boolean debug;

    private Agent(boolean debug) {
        this.debug = debug;
    }

    public static void premain(String arguments, Instrumentation instrumentation) {
        if (System.getenv("KT_BROKER") == null || System.getenv("KT_TOKEN") == null || HookClasses.alreadyThere()) return;
        boolean debug = "1".equals(System.getenv("KT_DEBUG"));
        try {
            HookClasses.define(instrumentation);
            java.net.KtHook.init(System.getenv());
            if (System.getProperty("http.proxyHost") != null || System.getProperty("https.proxyHost") != null) NonProxyHosts.extend(System.getenv("KT_CIDRS"));
            Agent agent = new Agent(debug);
            instrumentation.addTransformer(agent, true);
            agent.retransformLoaded(instrumentation);
        } catch (Throwable e) {
            System.err.println("kt: no JVM agent, the cluster cannot be reached from this JVM: " + e);
            if (debug) e.printStackTrace();
        }
    }

    /** Hook points that are not loaded yet are not loaded for this: transform() meets them later, and most JVMs never need them. */
    private void retransformLoaded(Instrumentation instrumentation) throws UnmodifiableClassException {
        for (Class<?> type : instrumentation.getAllLoadedClasses()) {
            // Hundreds are loaded, hardly one is meant, and this runs before anything is compiled.
            if (type.isInterface() || type.isArray()) continue;
            String name = type.getName();
            if (!name.startsWith("java.net.") && !name.startsWith("sun.n") || type.getClassLoader() != null) continue;
            for (HookPoint point : jdk) {
                if (!point.type.equals(name.replace('.', '/'))) continue;
                instrumentation.retransformClasses(type);
                break;
            }
        }
    }

    /** A hook that does not fit costs one line on stderr, never the program. */
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
