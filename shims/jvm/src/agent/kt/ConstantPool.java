package kt;

/** Constants that are appended to a class's pool (JVMS 4.4). Indexes go on from the original count; nothing is looked up or shared. */
final class ConstantPool {
    private static final int UTF8 = 1, CLASS = 7, METHOD_REF = 10, NAME_AND_TYPE = 12;

    final ByteWriter appended = new ByteWriter();
    int count;

    ConstantPool(int originalCount) {
        count = originalCount;
    }

    /** `text` is ASCII: names and descriptors of this agent's own. */
    int utf8(String text) {
        appended.u1(UTF8).u2(text.length());
        for (int i = 0; i < text.length(); i++) appended.u1(text.charAt(i));
        return next();
    }

    int type(String internalName) {
        int name = utf8(internalName);
        appended.u1(CLASS).u2(name);
        return next();
    }

    int method(String owner, String name, String descriptor) {
        int ownerIndex = type(owner);
        int nameIndex = utf8(name);
        int descriptorIndex = utf8(descriptor);
        appended.u1(NAME_AND_TYPE).u2(nameIndex).u2(descriptorIndex);
        int nameAndType = next();
        appended.u1(METHOD_REF).u2(ownerIndex).u2(nameAndType);
        return next();
    }

    private int next() {
        if (count == 0xffff) throw new IllegalStateException("the constant pool is full");
        return count++;
    }
}
