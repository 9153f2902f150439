package kt;

import static kt.ClassPatcher.i4;
import static kt.ClassPatcher.u2;

/**
 * Puts a prologue in front of one Code attribute (JVMS 4.7.3) and moves every offset behind it: exception handlers, line numbers, local
 * variables and stack map frames (4.7.4). Branches are relative and need nothing.
 */
final class CodePatcher {
    /** The prologue's values on the stack, at most: three arguments beside an address that waits. */
    private static final int PROLOGUE_STACK = 4;
    /** Class files from Java 6 on are checked with stack maps. */
    private static final int FIRST_MAJOR_WITH_FRAMES = 50;
    private static final int SAME_LOCALS_1_STACK = 64, SAME_LOCALS_1_STACK_EXTENDED = 247, SAME_EXTENDED = 251, FULL = 255;
    private static final int ITEM_OBJECT = 7, ITEM_UNINITIALIZED = 8;

    private final byte[] file;
    private final String[] texts;
    private final ConstantPool pool;
    private final ByteWriter prologue = new ByteWriter();
    private final int shift;
    /** Where the prologue's early return is passed by, and what is on the stack there (HookPoint.encode). */
    private final int frameAt;
    private final int frameType;

    CodePatcher(byte[] file, String[] texts, ConstantPool pool, HookPoint point) {
        this.file = file;
        this.texts = texts;
        this.pool = pool;
        int[] frame = point.encode(pool, prologue);
        frameAt = frame[0];
        frameType = frame[1];
        shift = prologue.size();
    }

    /** The whole attribute, header included. */
    void patch(int attribute, ByteWriter to) {
        int at = attribute + 6;
        int length = i4(file, at + 4);
        ByteWriter out = new ByteWriter();
        out.u2(u2(file, at) + PROLOGUE_STACK).u2(u2(file, at + 2)).u4(length + shift).copy(prologue).copy(file, at + 8, length);
        attributes(out, handlers(out, at + 8 + length));
        to.u2(u2(file, attribute)).u4(out.size()).copy(out);
    }

    private int handlers(ByteWriter out, int at) {
        int count = u2(file, at);
        out.u2(count);
        at += 2;
        for (int i = 0; i < count; i++, at += 8) {
            for (int offset = 0; offset < 6; offset += 2) out.u2(u2(file, at + offset) + shift);
            out.u2(u2(file, at + 6));
        }
        return at;
    }

    private void attributes(ByteWriter out, int at) {
        int count = u2(file, at);
        at += 2;
        ByteWriter kept = new ByteWriter();
        int keptCount = 0;
        boolean framed = false;
        for (int i = 0; i < count; i++) {
            String name = texts[u2(file, at)];
            int length = i4(file, at + 2);
            ByteWriter body = new ByteWriter();
            if (name.equals("StackMapTable")) {
                frames(body, at + 6);
                framed = true;
            } else if (name.equals("LineNumberTable")) {
                table(body, at + 6, 4);
            } else if (name.startsWith("LocalVariable")) {
                table(body, at + 6, 10);
            } else {
                body.copy(file, at + 6, length);
            }
            // Type annotations hold offsets too; nothing reads them at run time, so they go.
            if (!name.endsWith("TypeAnnotations")) {
                kept.u2(u2(file, at)).u4(body.size()).copy(body);
                keptCount++;
            }
            at += 6 + length;
        }
        if (!framed && frameAt >= 0 && u2(file, 6) >= FIRST_MAJOR_WITH_FRAMES) {
            int name = pool.utf8("StackMapTable");
            ByteWriter body = new ByteWriter().u2(1);
            entry(body);
            kept.u2(name).u4(body.size()).copy(body);
            keptCount++;
        }
        out.u2(keptCount).copy(kept);
    }

    /** Entries that start with an offset into the code; what follows it (a length, a line, names) stays. */
    private void table(ByteWriter out, int at, int entry) {
        int count = u2(file, at);
        out.u2(count);
        at += 2;
        for (int i = 0; i < count; i++, at += entry) out.u2(u2(file, at) + shift).copy(file, at + 2, entry - 2);
    }

    // ------------------------------------------------------------------ stack map

    /** The prologue's own frame: the locals are the method's arguments; on the stack is what was called, or nothing. */
    private void entry(ByteWriter out) {
        out.u1(frameType == 0 ? SAME_EXTENDED : SAME_LOCALS_1_STACK_EXTENDED).u2(frameAt);
        if (frameType != 0) out.u1(ITEM_OBJECT).u2(frameType);
    }

    /** One frame more, the first of the method's own moved; the others are relative to the one before them. */
    private void frames(ByteWriter out, int at) {
        int count = u2(file, at);
        at += 2;
        boolean early = frameAt >= 0;
        out.u2(count + (early ? 1 : 0));
        if (early) entry(out);
        // offset = offset of the one before + delta + 1, but the very first: offset = delta.
        int more = early ? shift - frameAt - 1 : shift;
        for (int i = 0; i < count; i++, more = 0) at = frame(out, at, more);
    }

    private int frame(ByteWriter out, int at, int more) {
        int tag = file[at++] & 0xff;
        if (tag < 2 * SAME_LOCALS_1_STACK) {
            // The delta is in the tag; moved, it may not fit there any more.
            boolean stack = tag >= SAME_LOCALS_1_STACK;
            int delta = tag % SAME_LOCALS_1_STACK + more;
            if (delta < SAME_LOCALS_1_STACK) out.u1(stack ? SAME_LOCALS_1_STACK + delta : delta);
            else out.u1(stack ? SAME_LOCALS_1_STACK_EXTENDED : SAME_EXTENDED).u2(delta);
            return stack ? items(out, at, 1) : at;
        }
        if (tag < SAME_LOCALS_1_STACK_EXTENDED) throw new IllegalStateException("unknown stack map frame");
        out.u1(tag).u2(u2(file, at) + more);
        at += 2;
        if (tag == SAME_LOCALS_1_STACK_EXTENDED) return items(out, at, 1);
        if (tag == FULL) return counted(out, counted(out, at)); // locals, then stack
        return tag > SAME_EXTENDED ? items(out, at, tag - SAME_EXTENDED) : at; // append has items, chop none
    }

    private int counted(ByteWriter out, int at) {
        int count = u2(file, at);
        out.u2(count);
        return items(out, at + 2, count);
    }

    /** Verification types; those of objects under construction name the offset of their `new`. */
    private int items(ByteWriter out, int at, int count) {
        for (int i = 0; i < count; i++) {
            int tag = file[at++];
            out.u1(tag);
            if (tag != ITEM_OBJECT && tag != ITEM_UNINITIALIZED) continue;
            out.u2(u2(file, at) + (tag == ITEM_UNINITIALIZED ? shift : 0));
            at += 2;
        }
        return at;
    }
}
