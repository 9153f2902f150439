package kt;

import java.nio.charset.StandardCharsets;

/**
 * Inserts a prologue into the methods of a class file that have a given name and descriptor (JVMS 4). No library: a library refuses
 * class files that are newer than itself, and this one only has to find its way to the Code attribute. Constants are appended, all else
 * is copied as it is.
 */
final class ClassPatcher {
    private static final int POOL_START = 10;
    private static final int ACCESS_THIS_SUPER = 6;
    private static final int MEMBER_HEADER = 8;
    private static final int ATTRIBUTE_HEADER = 6;

    private final byte[] file;
    private final String[] texts;
    private final int poolEnd;

    private ClassPatcher(byte[] file) {
        this.file = file;
        texts = new String[u2(file, 8)];
        poolEnd = readPool();
    }

    /** null when no method matched. */
    static byte[] apply(byte[] file, HookPoint point) {
        return new ClassPatcher(file).patch(point);
    }

    static int u2(byte[] bytes, int at) {
        return (bytes[at] & 0xff) << 8 | bytes[at + 1] & 0xff;
    }

    static int i4(byte[] bytes, int at) {
        return u2(bytes, at) << 16 | u2(bytes, at + 2);
    }

    /** Keeps the Utf8 constants, skips the others; returns where the pool ends. */
    private int readPool() {
        int at = POOL_START;
        for (int i = 1; i < texts.length; i++) {
            switch (file[at]) {
                case 1: // Utf8
                    int length = u2(file, at + 1);
                    // "Modified UTF-8"; names of hooked methods and of attributes are ASCII, and others are only compared with them.
                    texts[i] = new String(file, at + 3, length, StandardCharsets.ISO_8859_1);
                    at += 3 + length;
                    break;
                case 3: case 4: // Integer, Float
                case 9: case 10: case 11: case 12: // references to fields and methods, NameAndType
                case 17: case 18: // Dynamic, InvokeDynamic
                    at += 5;
                    break;
                case 5: case 6: // Long, Double: two entries
                    at += 9;
                    i++;
                    break;
                case 7: case 8: case 16: case 19: case 20: // Class, String, MethodType, Module, Package
                    at += 3;
                    break;
                case 15: // MethodHandle
                    at += 4;
                    break;
                default:
                    throw new IllegalStateException("unknown constant");
            }
        }
        return at;
    }

    private byte[] patch(HookPoint point) {
        ConstantPool pool = new ConstantPool(texts.length);
        ByteWriter body = new ByteWriter();
        int copied = poolEnd;
        int at = poolEnd + ACCESS_THIS_SUPER;
        at += 2 + 2 * u2(file, at); // interfaces
        int fields = u2(file, at);
        at += 2;
        for (int i = 0; i < fields; i++) at = skipMember(at);
        int methods = u2(file, at);
        at += 2;
        for (int i = 0; i < methods; i++) {
            boolean wanted = point.method.equals(texts[u2(file, at + 2)]) && texts[u2(file, at + 4)].startsWith(point.descriptor);
            int end = skipMember(at);
            int code = wanted ? codeOf(at) : -1;
            if (code >= 0) {
                body.copy(file, copied, code - copied);
                new CodePatcher(file, texts, pool, point).patch(code, body);
                copied = code + ATTRIBUTE_HEADER + i4(file, code + 2);
            }
            at = end;
        }
        if (copied == poolEnd) return null;
        body.copy(file, copied, file.length - copied);
        return new ByteWriter().copy(file, 0, 8) // magic and version
            .u2(pool.count).copy(file, POOL_START, poolEnd - POOL_START).copy(pool.appended).copy(body).toBytes();
    }

    /** Where the member's Code attribute starts; -1: it has none (abstract, native). */
    private int codeOf(int member) {
        int attributes = u2(file, member + 6);
        int at = member + MEMBER_HEADER;
        for (int i = 0; i < attributes; i++) {
            if ("Code".equals(texts[u2(file, at)])) return at;
            at += ATTRIBUTE_HEADER + i4(file, at + 2);
        }
        return -1;
    }

    private int skipMember(int member) {
        int attributes = u2(file, member + 6);
        int at = member + MEMBER_HEADER;
        for (int i = 0; i < attributes; i++) at += ATTRIBUTE_HEADER + i4(file, at + 2);
        return at;
    }
}
