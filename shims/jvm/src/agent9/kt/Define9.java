package kt;

import java.lang.instrument.Instrumentation;
import java.lang.invoke.MethodHandles;
import java.util.Map;
import java.util.Set;

/** Java 9 and later: defines classes in package java.net of java.base. Apart from the rest, because it needs the API of Java 9. */
final class Define9 {
    private Define9() {}

    static void define(Instrumentation instrumentation, byte[][] classes) throws IllegalAccessException {
        // Opens java.net to this agent alone.
        instrumentation.redefineModule(Object.class.getModule(), Set.of(), Map.of(), Map.of("java.net", Set.of(Define9.class.getModule())), Set.of(), Map.of());
        MethodHandles.Lookup lookup = MethodHandles.privateLookupIn(java.net.URI.class, MethodHandles.lookup());
        for (byte[] code : classes) lookup.defineClass(code);
    }
}
