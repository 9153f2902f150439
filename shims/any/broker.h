/*
 * The broker on 127.0.0.1 (src/netstack/broker/protocol.codec.ts has its lines), and what is the cluster's. A kt that was started again since is
 * found by the session file. Called by kt-any.c, from several threads.
 */
#pragma once
#include <stddef.h>

/* Bytes of one line, either way. */
#define LINE_MAX_BYTES 512

/* 127.0.0.1:PORT gives PORT; 0 where there is none. */
int port_of(const char *address);

/* Before any thread is started. `networks`: CIDRs with commas, NULL for none. */
void use_broker(const char *broker, const char *token, const char *networks);

/* `family` is AF_INET or AF_INET6, the address in network order. */
int in_cluster(int family, const unsigned char *address);

/* One question without token and LF, one answer without LF. 0, or -1 where no kt is there; that is said once on stderr. */
int ask(const char *question, char *answer, size_t size);

/* Of an answer `ERR NAME ...`. */
int errno_of(const char *answer);
