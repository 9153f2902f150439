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
        if (System.getenv("KT_BROKER") == null || System.getenv("KT_TOKEN") == null || HookClasses.alreadyThere()) return;
        boolean debug = "1".equals(System.getenv("KT_DEBUG"));
        try {
            HookClasses.define(instrumentation);
            java.net.KtHook.init(System.getenv());
            NonProxyHosts.extend(System.getenv("KT_CIDRS"));
            instrumentation.addTransformer(new HookTransformer(debug), true);
            Class<?>[] loaded = alreadyLoaded(instrumentation);
            if (loaded.length > 0) instrumentation.retransformClasses(loaded);
        } catch (Throwable e) {
            System.err.println("kt: no JVM agent, the cluster cannot be reached from this JVM: " + e);
            if (debug) e.printStackTrace();
        }
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
