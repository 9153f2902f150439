package io.kt.agent;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * The few instructions that are inserted at the start of a hooked method, written down once and encoded for each class, because their
 * operands are indexes of that class's constant pool. At most one early return, the last instruction. JVMS 4.10, 6.5.
 */
final class Prologue {
    private static final String HOOK = "java/net/KtHook";
    private static final int ACONST_NULL = 0x01, ICONST_0 = 0x03, ILOAD = 0x15, ALOAD = 0x19, ISTORE = 0x36, ASTORE = 0x3a, POP = 0x57, DUP = 0x59,
            IFEQ = 0x99, IRETURN = 0xac, ARETURN = 0xb0, INVOKESTATIC = 0xb8, IFNULL = 0xc6;

    /** How the method may end early, and so which stack map frame its original code starts with. */
    private enum Early { NEVER, WITH_OBJECT, WITH_FALSE }

    /** {opcode, operand}; for a call the operand is an index into calls. */
    private final List<int[]> instructions = new ArrayList<int[]>();
    private final List<String[]> calls = new ArrayList<String[]>();
    private Early early = Early.NEVER;
    private String returned;

    Prologue object(int slot) {
        return add(ALOAD, slot);
    }

    Prologue integer(int slot) {
        return add(ILOAD, slot);
    }

    Prologue nothing() {
        return add(ACONST_NULL, -1);
    }

    Prologue storeObject(int slot) {
        return add(ASTORE, slot);
    }

    Prologue storeInteger(int slot) {
        return add(ISTORE, slot);
    }

    /** Calls a static method of KtHook. */
    Prologue call(String name, String descriptor) {
        calls.add(new String[] {name, descriptor});
        return add(INVOKESTATIC, calls.size() - 1);
    }

    /** The method returns what was called where that is not null; `type` is its internal name. */
    Prologue returnUnlessNull(String type) {
        early = Early.WITH_OBJECT;
        returned = type;
        return this;
    }

    /** The method returns false where the call said true. */
    Prologue returnFalseIfTrue() {
        early = Early.WITH_FALSE;
        return this;
    }

    private Prologue add(int opcode, int operand) {
        instructions.add(new int[] {opcode, operand});
        return this;
    }

    /** The code for one class. */
    static final class Code {
        /** Padded with nops to a multiple of 4: tableswitch and lookupswitch keep their alignment. */
        final byte[] bytes;
        /** Offset at which a branch enters, and a stack map frame is needed; -1: none. */
        final int frameAt;
        /** Constant of the class on the stack there; 0: the stack is empty. */
        final int frameClass;

        Code(byte[] bytes, int frameAt, int frameClass) {
            this.bytes = bytes;
            this.frameAt = frameAt;
            this.frameClass = frameClass;
        }
    }

    Code encode(ConstantPool pool) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        for (int[] instruction : instructions) {
            out.writeByte(instruction[0]);
            if (instruction[0] == INVOKESTATIC) {
                String[] call = calls.get(instruction[1]);
                out.writeShort(pool.method(HOOK, call[0], call[1]));
            } else if (instruction[1] >= 0) {
                out.writeByte(instruction[1]);
            }
        }
        int frameAt = -1;
        int frameClass = 0;
        if (early == Early.WITH_OBJECT) {
            // dup; ifnull L; areturn; L: pop
            out.writeByte(DUP);
            out.writeByte(IFNULL);
            out.writeShort(4);
            out.writeByte(ARETURN);
            frameAt = bytes.size();
            frameClass = pool.type(returned);
            out.writeByte(POP);
        } else if (early == Early.WITH_FALSE) {
            // ifeq L; iconst_0; ireturn; L:
            out.writeByte(IFEQ);
            out.writeShort(5);
            out.writeByte(ICONST_0);
            out.writeByte(IRETURN);
            frameAt = bytes.size();
        }
        // At least one nop after a frame without pop: the frame's offset must not be the first original instruction's, which may have one.
        do bytes.write(0); while (bytes.size() % 4 != 0);
        return new Code(bytes.toByteArray(), frameAt, frameClass);
    }
}
