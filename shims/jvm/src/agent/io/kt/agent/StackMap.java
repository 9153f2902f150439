package io.kt.agent;

import static io.kt.agent.ClassPatcher.u2;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/**
 * A StackMapTable (JVMS 4.7.4) behind a prologue: one frame more for the prologue's early return, the first original frame moved by the
 * difference, and the offsets of uninitialized objects moved. Frames are relative to the one before, so the others stay.
 */
final class StackMap {
    private static final int SAME_LOCALS_1_STACK = 64, SAME_LOCALS_1_STACK_EXTENDED = 247, SAME_EXTENDED = 251, FULL = 255;
    private static final int ITEM_OBJECT = 7, ITEM_UNINITIALIZED = 8;

    private final byte[] file;
    private final int shift;
    private final Prologue.Code prologue;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final DataOutputStream out = new DataOutputStream(bytes);
    private int at;

    StackMap(byte[] file, int at, int shift, Prologue.Code prologue) {
        this.file = file;
        this.at = at;
        this.shift = shift;
        this.prologue = prologue;
    }

    /** A table with the prologue's frame alone. */
    static byte[] only(Prologue.Code prologue) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeShort(1);
        entry(out, prologue);
        return bytes.toByteArray();
    }

    /** The locals are the method's arguments; on the stack is what was called, or nothing. */
    private static void entry(DataOutputStream out, Prologue.Code prologue) throws IOException {
        out.writeByte(prologue.frameClass == 0 ? SAME_EXTENDED : SAME_LOCALS_1_STACK_EXTENDED);
        out.writeShort(prologue.frameAt);
        if (prologue.frameClass == 0) return;
        out.writeByte(ITEM_OBJECT);
        out.writeShort(prologue.frameClass);
    }

    byte[] shifted() throws IOException {
        int count = u2(file, at);
        at += 2;
        boolean early = prologue.frameAt >= 0;
        out.writeShort(count + (early ? 1 : 0));
        if (early) entry(out, prologue);
        // offset = previous offset + delta + 1, and the first frame has no previous one.
        int first = early ? shift - prologue.frameAt - 1 : shift;
        for (int i = 0; i < count; i++) frame(i == 0 ? first : 0);
        return bytes.toByteArray();
    }

    private void frame(int more) throws IOException {
        int tag = file[at++] & 0xff;
        if (tag < 2 * SAME_LOCALS_1_STACK) {
            // The delta is in the tag; it may not fit there any more.
            boolean stack = tag >= SAME_LOCALS_1_STACK;
            int delta = tag % SAME_LOCALS_1_STACK + more;
            if (delta < SAME_LOCALS_1_STACK) {
                out.writeByte(stack ? SAME_LOCALS_1_STACK + delta : delta);
            } else {
                out.writeByte(stack ? SAME_LOCALS_1_STACK_EXTENDED : SAME_EXTENDED);
                out.writeShort(delta);
            }
            if (stack) items(1);
            return;
        }
        if (tag < SAME_LOCALS_1_STACK_EXTENDED) throw new IOException("unknown stack map frame " + tag);
        out.writeByte(tag);
        out.writeShort(u2(file, at) + more);
        at += 2;
        if (tag == SAME_LOCALS_1_STACK_EXTENDED) items(1);
        else if (tag == FULL) {
            counted(); // locals
            counted(); // stack
        } else if (tag > SAME_EXTENDED) items(tag - SAME_EXTENDED); // append; chop (248-250) has none
    }

    private void counted() throws IOException {
        int count = u2(file, at);
        out.writeShort(count);
        at += 2;
        items(count);
    }

    private void items(int count) throws IOException {
        for (int i = 0; i < count; i++) {
            int tag = file[at++];
            out.writeByte(tag);
            if (tag != ITEM_OBJECT && tag != ITEM_UNINITIALIZED) continue;
            out.writeShort(u2(file, at) + (tag == ITEM_UNINITIALIZED ? shift : 0));
            at += 2;
        }
    }
}
