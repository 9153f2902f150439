package kt;

/**
 * One method to hook, and the few instructions that are put in front of it. They are written down once (HookPoints) and encoded for each
 * class, because their operands are indexes of that class's constant pool. At most one early return, at the end. JVMS 4.10, 6.5.
 */
final class HookPoint {
    private static final String HOOK = "java/net/KtHook";
    private static final int ACONST_NULL = 0x01, ICONST_0 = 0x03, ILOAD = 0x15, ALOAD = 0x19, ISTORE = 0x36, ASTORE = 0x3a, POP = 0x57, DUP = 0x59,
            IFEQ = 0x99, IRETURN = 0xac, ARETURN = 0xb0, INVOKESTATIC = 0xb8, IFNULL = 0xc6;
    private static final int INSTRUCTIONS_MAX = 16;

    /** Internal name; for a library its end, because copies of a library live under other packages (shaded). */
    final String type;
    final String method;
    /** The start of the descriptor: some methods got more arguments in later versions. */
    final String descriptor;

    /** Pairs of opcode and local variable; for a call the name and the descriptor stand in `calls`. */
    private final int[] opcodes = new int[INSTRUCTIONS_MAX];
    private final int[] slots = new int[INSTRUCTIONS_MAX];
    private final String[] names = new String[INSTRUCTIONS_MAX];
    private final String[] descriptors = new String[INSTRUCTIONS_MAX];
    private int count;
    /** The type that the method returns early, "" for boolean; null: it never does. */
    private String returned;

    HookPoint(String type, String method, String descriptor) {
        this.type = type;
        this.method = method;
        this.descriptor = descriptor;
    }

    HookPoint object(int slot) {
        return add(ALOAD, slot);
    }

    HookPoint integer(int slot) {
        return add(ILOAD, slot);
    }

    HookPoint nothing() {
        return add(ACONST_NULL, 0);
    }

    HookPoint storeObject(int slot) {
        return add(ASTORE, slot);
    }

    HookPoint storeInteger(int slot) {
        return add(ISTORE, slot);
    }

    /** Calls a static method of KtHook. */
    HookPoint call(String name, String signature) {
        names[count] = name;
        descriptors[count] = signature;
        return add(INVOKESTATIC, 0);
    }

    /** The method returns what was called where that is not null; `name` is the internal name of its type. */
    HookPoint returnUnlessNull(String name) {
        returned = name;
        return this;
    }

    /** The method returns false, or 0, where the call said true. */
    HookPoint returnFalseIfTrue() {
        returned = "";
        return this;
    }

    private HookPoint add(int opcode, int slot) {
        opcodes[count] = opcode;
        slots[count++] = slot;
        return this;
    }

    /**
     * Encodes into `code`, padded with nops to a multiple of 4 (tableswitch and lookupswitch keep their alignment).
     * Returns {offset at which a branch enters, constant of the type on the stack there or 0}; the offset is -1 where there is none.
     */
    int[] encode(ConstantPool pool, ByteWriter code) {
        for (int i = 0; i < count; i++) {
            code.u1(opcodes[i]);
            if (opcodes[i] == INVOKESTATIC) code.u2(pool.method(HOOK, names[i], descriptors[i]));
            else if (opcodes[i] != ACONST_NULL) code.u1(slots[i]);
        }
        int[] frame = {-1, 0};
        if (returned != null && returned.isEmpty()) {
            // ifeq L; iconst_0; ireturn; L:
            code.u1(IFEQ).u2(5).u1(ICONST_0).u1(IRETURN);
            frame[0] = code.size();
        } else if (returned != null) {
            // dup; ifnull L; areturn; L: pop
            code.u1(DUP).u1(IFNULL).u2(4).u1(ARETURN);
            frame[0] = code.size();
            frame[1] = pool.type(returned);
            code.u1(POP);
        }
        // At least one nop: the frame above must not share its offset with one of the method's own first instruction.
        do code.u1(0); while (code.size() % 4 != 0);
        return frame;
    }
}
