package kt;

import java.lang.instrument.Instrumentation;
import java.util.ArrayList;
import java.util.List;

/**
 * Started by the JVM before the program's main (-javaagent in JAVA_TOOL_OPTIONS, set by `kt run`). Defines the hook classes, hooks what is
 * loaded already, and leaves the rest to HookTransformer. Without kt's variables it does nothing; whatever goes wrong, the program runs.
 */
public final class Agent {
    private Agent() {}

    public static void premain(String arguments, Instrumentation instrumentation) {
        String broker = System.getenv("KT_BROKER");
        String token = System.getenv("KT_TOKEN");
        if (broker == null || token == null || HookClasses.alreadyThere()) return;
        boolean debug = "1".equals(System.getenv("KT_DEBUG"));
        try {
            String cidrs = setting("KT_CIDRS");
            HookClasses.define(instrumentation);
            java.net.KtHook.init(broker, token, cidrs, setting("KT_SUFFIXES"), setting("KT_HOSTNAME"), System.getenv("KT_DNS"), debug);
            NonProxyHosts.extend(cidrs);
            instrumentation.addTransformer(new HookTransformer(debug), true);
            Class<?>[] loaded = alreadyLoaded(instrumentation);
            if (loaded.length > 0) instrumentation.retransformClasses(loaded);
        } catch (Throwable e) {
            System.err.println("kt: no JVM agent, the cluster cannot be reached from this JVM: " + e);
            if (debug) e.printStackTrace();
        }
    }

    private static String setting(String name) {
        String value = System.getenv(name);
        return value == null ? "" : value;
    }

    /** Hook points that are not loaded yet are not loaded for this: the transformer meets them later, and most JVMs never need them. */
    private static Class<?>[] alreadyLoaded(Instrumentation instrumentation) {
        List<Class<?>> found = new ArrayList<Class<?>>();
        for (Class<?> type : instrumentation.getAllLoadedClasses()) {
            if (type.getClassLoader() != null) continue;
            String name = type.getName().replace('.', '/');
            for (HookPoint point : HookPoints.JDK) {
                if (!point.type.equals(name)) continue;
                found.add(type);
                break;
            }
        }
        return found.toArray(new Class<?>[0]);
    }
}
