package io.kt.agent;

/** One method to hook: where it is and what is put in front of it. */
final class HookPoint {
    /** Internal name; for a library its end, because copies of a library live under other packages (shaded). */
    final String type;
    final String method;
    /** The start of the descriptor: some methods got more arguments in later versions. */
    final String descriptor;
    final Prologue prologue;

    HookPoint(String type, String method, String descriptor, Prologue prologue) {
        this.type = type;
        this.method = method;
        this.descriptor = descriptor;
        this.prologue = prologue;
    }
}
