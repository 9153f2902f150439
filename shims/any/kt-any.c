/*
 * kt-any PROGRAM ARGUMENTS...: `kt run --any` for Linux. Starts a program of any kind, static binaries included, whose connects to the
 * cluster go through kt's broker on 127.0.0.1 (src/netstack/broker/protocol.codec.ts has the lines). By seccomp user notification: the
 * kernel stops every connect(2) of the program and of its children and asks this process, which either lets it go on, or connects the
 * program's own socket to the port that the broker names. No rights are needed; the program gives up those that it could gain (sudo).
 * Not for other systems, and not for what connects by io_uring.
 */
#define _GNU_SOURCE
#include "broker.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "x86_64 and aarch64 only"
#endif

/* Milliseconds that a connect of an event loop waits for a true refusal, before it goes on with the dial under way. */
#define NONBLOCKING_WAIT_MS 100
/* Refused by the system, as shells say it. */
#define EXIT_REFUSED 126
#define EXIT_NOT_FOUND 127

static int dns_port, listener;
static volatile pid_t program;

/* ------------------------------------------------------------------ one connect */

/* The thread group of a thread: pidfd_open takes no other threads on older kernels. */
static pid_t group_of(pid_t thread) {
    char path[64], line[256];
    pid_t group = thread;
    snprintf(path, sizeof path, "/proc/%d/status", thread);
    FILE *file = fopen(path, "re");
    if (!file) return thread;
    while (fgets(line, sizeof line, file) && sscanf(line, "Tgid: %d", &group) != 1);
    fclose(file);
    return group;
}

/* The program's own socket, here. */
static int take_socket(pid_t thread, int fd) {
    int process = syscall(SYS_pidfd_open, group_of(thread), 0);
    if (process < 0) return -1;
    int taken = syscall(SYS_pidfd_getfd, process, fd, 0), error = errno;
    close(process);
    errno = error;
    return taken;
}

static int read_address(const struct seccomp_notif *asked, struct sockaddr_storage *address) {
    char path[64];
    size_t length = asked->data.args[2] < sizeof *address ? asked->data.args[2] : sizeof *address;
    snprintf(path, sizeof path, "/proc/%d/mem", asked->pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory < 0) return -1;
    memset(address, 0, sizeof *address);
    ssize_t n = pread(memory, address, length, asked->data.args[1]);
    close(memory);
    /* What was read is another process's where this one ended meanwhile. */
    return n < (ssize_t)sizeof(sa_family_t) || ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->id) ? -1 : 0;
}

static int connect_local(int fd, int family, int port) {
    if (family == AF_INET) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        return connect(fd, (struct sockaddr *)&to, sizeof to);
    }
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
    return connect(fd, (struct sockaddr *)&to, sizeof to);
}

/* -1: let it go on. Else what connect(2) is to end with, 0 or an errno. */
static int decide(const struct seccomp_notif *asked) {
    struct sockaddr_storage storage;
    if (read_address(asked, &storage)) return -1;
    if (storage.ss_family == AF_UNIX) {
        /* Resolvers behind sockets would pass by kt's DNS; without them the C library asks a DNS server. */
        const char *path = ((struct sockaddr_un *)&storage)->sun_path;
        return strstr(path, "systemd/resolve") || strstr(path, "/nscd/") ? ECONNREFUSED : -1;
    }
    unsigned char address[16];
    char text[INET6_ADDRSTRLEN], question[160], answer[LINE_MAX_BYTES];
    int family = storage.ss_family, port;
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&storage;
        memcpy(address, &in->sin_addr, 4);
        port = ntohs(in->sin_port);
    } else if (family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
        int mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
        if (mapped) memcpy(address, in6->sin6_addr.s6_addr + 12, 4);
        else memcpy(address, &in6->sin6_addr, 16);
        port = ntohs(in6->sin6_port);
        if (mapped) family = AF_INET;
    } else return -1;
    int cluster = in_cluster(family, address);
    if (!cluster && port != 53) return -1;
    int fd = take_socket(asked->pid, (int)asked->data.args[0]);
    if (fd < 0) return -1;
    int type = 0, local = 0, result = -1;
    socklen_t size = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    inet_ntop(family, address, text, sizeof text);
    if (type == SOCK_DGRAM && port == 53) local = dns_port;
    else if (cluster && (type == SOCK_STREAM || type == SOCK_DGRAM)) {
        if (type == SOCK_DGRAM) snprintf(question, sizeof question, "UDP %s %d", text, port);
        else if (fcntl(fd, F_GETFL) & O_NONBLOCK) snprintf(question, sizeof question, "DIAL %s %d 0 wait=%d", text, port, NONBLOCKING_WAIT_MS);
        else snprintf(question, sizeof question, "DIAL %s %d 0", text, port);
        if (ask(question, answer, sizeof answer)) result = ECONNREFUSED;
        else if (!strncmp(answer, "OK ", 3)) local = atoi(answer + 3);
        else if (!strncmp(answer, "ERR ", 4)) result = errno_of(answer);
    }
    if (local > 0) result = connect_local(fd, storage.ss_family, local) ? errno : 0;
    close(fd);
    return result;
}

static void *serve(void *taken) {
    struct seccomp_notif *asked = taken;
    int result = decide(asked);
    struct seccomp_notif_resp answer = {.id = asked->id, .error = result > 0 ? -result : 0};
    if (result < 0) answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    /* Fails where the program gave up; nobody waits then. */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    free(asked);
    return NULL;
}

/* A thread for each: a connect that takes long must not hold up the others. They are as many as threads of the program that connect. */
static void *listen_for_connects(void *unused) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&small, 256 * 1024);
    for (;;) {
        /* The kernel's struct may be longer than ours. */
        struct seccomp_notif *asked = calloc(1, 512);
        pthread_t thread;
        if (asked && ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, asked) == 0) {
            if (pthread_create(&thread, &small, serve, asked)) serve(asked);
            continue;
        }
        free(asked);
        if (errno != EINTR && errno != ENOENT) return unused;
    }
}

/* ------------------------------------------------------------------ start and end */

static void refuse(const char *what, const char *why) {
    dprintf(2, "kt: --any is not possible here: %s: %s\n", what, why);
    exit(EXIT_REFUSED);
}

static void pass_descriptor(int to, int fd) {
    char control[CMSG_SPACE(sizeof fd)] = {0}, byte = 0;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    sendmsg(to, &message, 0);
}

static int receive_descriptor(int from) {
    int fd = -1;
    char control[CMSG_SPACE(sizeof fd)] = {0}, byte;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) > 0 && CMSG_FIRSTHDR(&message)) memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

/* The program's process until it becomes the program. */
static void become(int pipe, char **command) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    char go;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    if (fd < 0) {
        refuse("seccomp", errno == EBUSY ? "another program listens already (kt run --any within itself?)" : strerror(errno));
    }
    pass_descriptor(pipe, fd);
    close(fd);
    if (read(pipe, &go, 1) != 1) _exit(EXIT_REFUSED);
    execvp(command[0], command);
    /* A folder of PATH that may not be read makes EACCES of a program that is nowhere. */
    if (errno == ENOENT || (errno == EACCES && !strchr(command[0], '/'))) dprintf(2, "kt: there is no program '%s' on PATH\n", command[0]);
    else dprintf(2, "kt: '%s' can't be started: %s\n", command[0], strerror(errno));
    _exit(EXIT_NOT_FOUND);
}

static void pass_signal(int number, siginfo_t *info, void *unused) {
    (void)unused;
    /* The terminal's go to the whole foreground by themselves. */
    if (info->si_code != SI_KERNEL && program > 0) kill(program, number);
}

static void end_as(int status) {
    if (!WIFSIGNALED(status)) exit(WEXITSTATUS(status));
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    exit(128 + WTERMSIG(status));
}

int main(int count, char **arguments) {
    static const int passed[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};
    const char *broker = getenv("KT_BROKER"), *token = getenv("KT_TOKEN");
    int pair[2], status;
    if (count < 2 || !broker || !token) {
        dprintf(2, "kt-any is started by `kt run --any -- PROGRAM`\n");
        return 2;
    }
    use_broker(broker, token, getenv("KT_CIDRS"));
    dns_port = port_of(getenv("KT_ANY_DNS"));
    /* Children whose parent ended stay below this process: only those it may look into where Yama restricts it. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) refuse("socketpair", strerror(errno));
    if ((program = fork()) < 0) refuse("fork", strerror(errno));
    if (!program) {
        close(pair[0]);
        become(pair[1], arguments + 1);
    }
    close(pair[1]);
    struct sigaction pass = {.sa_sigaction = pass_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) sigaction(passed[i], &pass, NULL);
    listener = receive_descriptor(pair[0]);
    if (listener < 0) {
        waitpid(program, &status, 0);
        end_as(status);
    }
    /* Before the program starts: may its sockets be taken? */
    int probe = take_socket(program, pair[1]);
    if (probe < 0) {
        kill(program, SIGKILL);
        refuse("looking into the program", errno == EPERM ? "the system forbids it (kernel.yama.ptrace_scope above 1?)" : strerror(errno));
    }
    close(probe);
    pthread_t thread;
    if (pthread_create(&thread, NULL, listen_for_connects, NULL)) refuse("a thread", strerror(errno));
    if (write(pair[0], "", 1) != 1) refuse("the program", "it is gone");
    for (;;) {
        pid_t ended = waitpid(-1, &status, 0);
        if (ended == program) end_as(status);
        if (ended < 0 && errno != EINTR) return 1;
    }
}
