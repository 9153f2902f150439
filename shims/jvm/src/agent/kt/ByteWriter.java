package kt;

import java.util.Arrays;

/** Grows; writes big endian, as class files are. Instead of DataOutputStream: it can not fail, and a small jar loads fast. */
final class ByteWriter {
    private byte[] bytes = new byte[256];
    private int size;

    int size() {
        return size;
    }

    byte[] toBytes() {
        return Arrays.copyOf(bytes, size);
    }

    ByteWriter u1(int value) {
        if (size == bytes.length) bytes = Arrays.copyOf(bytes, size * 2);
        bytes[size++] = (byte) value;
        return this;
    }

    ByteWriter u2(int value) {
        return u1(value >> 8).u1(value);
    }

    ByteWriter u4(int value) {
        return u2(value >> 16).u2(value);
    }

    ByteWriter copy(byte[] from, int start, int length) {
        if (size + length > bytes.length) bytes = Arrays.copyOf(bytes, Math.max(size + length, size * 2));
        System.arraycopy(from, start, bytes, size, length);
        size += length;
        return this;
    }

    ByteWriter copy(ByteWriter from) {
        return copy(from.bytes, 0, from.size);
    }
}
