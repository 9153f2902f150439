package io.kt.agent;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/** Constants that are appended to a class's pool (JVMS 4.4). Indexes go on from the original count; nothing is looked up or shared. */
final class ConstantPool {
    private static final int UTF8 = 1, CLASS = 7, METHOD_REF = 10, NAME_AND_TYPE = 12;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final DataOutputStream out = new DataOutputStream(bytes);
    private int count;

    ConstantPool(int originalCount) {
        count = originalCount;
    }

    int count() {
        return count;
    }

    byte[] appended() {
        return bytes.toByteArray();
    }

    int utf8(String text) throws IOException {
        out.writeByte(UTF8);
        out.writeUTF(text);
        return next();
    }

    int type(String internalName) throws IOException {
        int name = utf8(internalName);
        out.writeByte(CLASS);
        out.writeShort(name);
        return next();
    }

    int method(String owner, String name, String descriptor) throws IOException {
        int ownerIndex = type(owner);
        int nameIndex = utf8(name);
        int descriptorIndex = utf8(descriptor);
        out.writeByte(NAME_AND_TYPE);
        out.writeShort(nameIndex);
        out.writeShort(descriptorIndex);
        int nameAndType = next();
        out.writeByte(METHOD_REF);
        out.writeShort(ownerIndex);
        out.writeShort(nameAndType);
        return next();
    }

    private int next() throws IOException {
        if (count >= 0xffff) throw new IOException("the constant pool is full");
        return count++;
    }
}
