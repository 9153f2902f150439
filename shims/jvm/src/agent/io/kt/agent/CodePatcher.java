package io.kt.agent;

import static io.kt.agent.ClassPatcher.i4;
import static io.kt.agent.ClassPatcher.u2;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/**
 * Puts a prologue in front of one Code attribute (JVMS 4.7.3) and moves every offset behind it: exception handlers, line numbers, local
 * variables and stack maps. Branches are relative and need nothing.
 */
final class CodePatcher {
    /** The prologue's values on the stack, at most: two arguments beside a result and an address that waits. */
    private static final int PROLOGUE_STACK = 4;
    /** Class files from Java 6 on are checked with stack maps. */
    private static final int FIRST_MAJOR_WITH_FRAMES = 50;

    private final byte[] file;
    private final String[] texts;
    private final ConstantPool pool;
    private final Prologue.Code prologue;
    private final int shift;

    CodePatcher(byte[] file, String[] texts, ConstantPool pool, Prologue.Code prologue) {
        this.file = file;
        this.texts = texts;
        this.pool = pool;
        this.prologue = prologue;
        shift = prologue.bytes.length;
    }

    /** The whole attribute, header included. */
    byte[] patch(int attribute) throws IOException {
        int at = attribute + 6;
        int length = i4(file, at + 4);
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(body);
        out.writeShort(u2(file, at) + PROLOGUE_STACK);
        out.writeShort(u2(file, at + 2));
        out.writeInt(length + shift);
        out.write(prologue.bytes);
        out.write(file, at + 8, length);
        at = handlers(out, at + 8 + length);
        attributes(out, at);
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        DataOutputStream header = new DataOutputStream(whole);
        header.writeShort(u2(file, attribute));
        header.writeInt(body.size());
        header.write(body.toByteArray());
        return whole.toByteArray();
    }

    private int handlers(DataOutputStream out, int at) throws IOException {
        int count = u2(file, at);
        out.writeShort(count);
        at += 2;
        for (int i = 0; i < count; i++, at += 8) {
            for (int offset = 0; offset < 6; offset += 2) out.writeShort(u2(file, at + offset) + shift);
            out.writeShort(u2(file, at + 6));
        }
        return at;
    }

    private void attributes(DataOutputStream out, int at) throws IOException {
        int count = u2(file, at);
        at += 2;
        ByteArrayOutputStream kept = new ByteArrayOutputStream();
        DataOutputStream keptOut = new DataOutputStream(kept);
        int keptCount = 0;
        boolean framed = false;
        for (int i = 0; i < count; i++) {
            String name = texts[u2(file, at)];
            int length = i4(file, at + 2);
            byte[] body;
            if ("StackMapTable".equals(name)) {
                body = new StackMap(file, at + 6, shift, prologue).shifted();
                framed = true;
            } else if ("LineNumberTable".equals(name)) {
                body = table(at + 6, 4);
            } else if ("LocalVariableTable".equals(name) || "LocalVariableTypeTable".equals(name)) {
                body = table(at + 6, 10);
            } else if (name.endsWith("TypeAnnotations")) {
                body = null; // They hold offsets too, and nothing reads them at run time.
            } else {
                body = java.util.Arrays.copyOfRange(file, at + 6, at + 6 + length);
            }
            if (body != null) {
                attribute(keptOut, u2(file, at), body);
                keptCount++;
            }
            at += 6 + length;
        }
        if (!framed && prologue.frameAt >= 0 && u2(file, 6) >= FIRST_MAJOR_WITH_FRAMES) {
            attribute(keptOut, pool.utf8("StackMapTable"), StackMap.only(prologue));
            keptCount++;
        }
        out.writeShort(keptCount);
        out.write(kept.toByteArray());
    }

    private static void attribute(DataOutputStream out, int name, byte[] body) throws IOException {
        out.writeShort(name);
        out.writeInt(body.length);
        out.write(body);
    }

    /** Entries that start with an offset into the code; what follows it (a length, a line, names) stays. */
    private byte[] table(int at, int entry) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        int count = u2(file, at);
        out.writeShort(count);
        at += 2;
        for (int i = 0; i < count; i++, at += entry) {
            out.writeShort(u2(file, at) + shift);
            out.write(file, at + 2, entry - 2);
        }
        return bytes.toByteArray();
    }
}
