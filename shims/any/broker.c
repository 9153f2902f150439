/* What broker.h says. Not the protocol's other end: src/netstack/broker/. */
#define _GNU_SOURCE
#include "broker.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* As kt writes them at most (netstack/route/router.ts), and some. */
#define NETWORKS_MAX 256
/* Seconds for the broker's answer: longer than its own limits, which know the better reason. */
#define ANSWER_S 30

struct network {
    int family, prefix;
    unsigned char bytes[16];
};

/* What the environment said, or the session file since (src/session/session-file.ts). */
static struct settings {
    char token[128];
    int port, networks_count;
    struct network networks[NETWORKS_MAX];
} settings;
static pthread_mutex_t settings_lock = PTHREAD_MUTEX_INITIALIZER;
static int warned;

int port_of(const char *address) {
    const char *colon = address ? strrchr(address, ':') : NULL;
    return colon ? atoi(colon + 1) : 0;
}

static void read_networks(struct settings *into, const char *list) {
    char copy[16384], *rest = copy, *one;
    snprintf(copy, sizeof copy, "%s", list ? list : "");
    into->networks_count = 0;
    while ((one = strsep(&rest, ",")) && into->networks_count < NETWORKS_MAX) {
        struct network *network = &into->networks[into->networks_count];
        char *slash = strchr(one, '/');
        if (!slash) continue;
        *slash = 0;
        network->family = strchr(one, ':') ? AF_INET6 : AF_INET;
        network->prefix = atoi(slash + 1);
        if (inet_pton(network->family, one, network->bytes) == 1) into->networks_count++;
    }
}

static int in_network(const struct network *network, int family, const unsigned char *address) {
    int whole = network->prefix / 8, rest = network->prefix % 8;
    if (network->family != family || memcmp(network->bytes, address, whole)) return 0;
    return !rest || !((network->bytes[whole] ^ address[whole]) & (0xff << (8 - rest)) & 0xff);
}

int in_cluster(int family, const unsigned char *address) {
    int found = 0;
    pthread_mutex_lock(&settings_lock);
    for (int i = 0; i < settings.networks_count && !found; i++) found = in_network(&settings.networks[i], family, address);
    pthread_mutex_unlock(&settings_lock);
    return found;
}

/* One line there, one line back, without its LF. 0 where an answer of a broker came. */
static int ask_once(const char *question, char *answer, size_t size) {
    char line[LINE_MAX_BYTES];
    pthread_mutex_lock(&settings_lock);
    int length = snprintf(line, sizeof line, "KT1 %s %s\n", settings.token, question), port = settings.port;
    pthread_mutex_unlock(&settings_lock);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = ANSWER_S};
    size_t got = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, line, length, MSG_NOSIGNAL) == length) {
        ssize_t n;
        while (got < size - 1 && !memchr(answer, '\n', got) && (n = read(fd, answer + got, size - 1 - got)) > 0) got += n;
    }
    close(fd);
    answer[got] = 0;
    char *end = strchr(answer, '\n');
    if (!end || !strncmp(answer, "ERR EACCES wrong", 16)) return -1;
    *end = 0;
    return strncmp(answer, "OK", 2) && strcmp(answer, "NO") && strncmp(answer, "ERR ", 4) ? -1 : 0;
}

/* Has another kt been started? */
static int found_another(void) {
    const char *path = getenv("KT_SESSION_FILE");
    FILE *file = path ? fopen(path, "re") : NULL;
    char line[16384];
    struct settings fresh = {0};
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "KT_BROKER=", 10)) fresh.port = port_of(line);
        else if (!strncmp(line, "KT_TOKEN=", 9)) snprintf(fresh.token, sizeof fresh.token, "%.127s", line + 9);
        else if (!strncmp(line, "KT_CIDRS=", 9)) read_networks(&fresh, line + 9);
    }
    fclose(file);
    pthread_mutex_lock(&settings_lock);
    int another = fresh.port && fresh.token[0] && strcmp(fresh.token, settings.token);
    if (another) settings = fresh;
    pthread_mutex_unlock(&settings_lock);
    return another;
}

int ask(const char *question, char *answer, size_t size) {
    if (ask_once(question, answer, size) == 0) return 0;
    if (found_another() && ask_once(question, answer, size) == 0) {
        if (warned) dprintf(2, "kt: kt is running again\n");
        warned = 0;
        return 0;
    }
    if (!warned) dprintf(2, "kt: kt is not running (127.0.0.1:%d); cluster names and addresses cannot be reached\n", settings.port);
    warned = 1;
    return -1;
}

int errno_of(const char *answer) {
    static const struct { const char *name; int value; } known[] = {{"ETIMEDOUT", ETIMEDOUT}, {"EHOSTUNREACH", EHOSTUNREACH},
        {"ENETUNREACH", ENETUNREACH}, {"EACCES", EACCES}, {"EAGAIN", EAGAIN}, {"ECONNABORTED", ECONNABORTED}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(answer + 4, known[i].name, strlen(known[i].name))) return known[i].value;
    return ECONNREFUSED;
}

void use_broker(const char *broker, const char *token, const char *networks) {
    settings.port = port_of(broker);
    snprintf(settings.token, sizeof settings.token, "%s", token);
    read_networks(&settings, networks);
}
