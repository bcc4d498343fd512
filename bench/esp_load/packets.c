// SPDX-License-Identifier: Apache-2.0
// Small packets as fast as they go: `packets receive PORT` and `packets send ADDRESS PORT OCTETS
// SECONDS WINDOW`. With a window the sender has at most so many packets on the way, which is what can
// be carried without loss; with 0 it floods. The receiver confirms every 32nd packet to its sender,
// counts for as long as packets come, and prints packets and microseconds between first and last.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define BATCH 32
#define MOST_OCTETS 2048

static char octets[BATCH][MOST_OCTETS];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static struct sockaddr_in from[BATCH];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int open_socket(void) {
    int file = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
    setsockopt(file, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(file, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    return file;
}

static void patience(int file, long microseconds) {
    struct timeval time = {microseconds / 1000000, microseconds % 1000000};
    setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
}

static void point(size_t length, int has_names) {
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){octets[i], length};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
        if (has_names) {
            messages[i].msg_hdr.msg_name = &from[i];
            messages[i].msg_hdr.msg_namelen = sizeof from[i];
        }
    }
}

static int receive(int port) {
    int file = open_socket();
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (bind(file, (struct sockaddr *)&own, sizeof own) != 0) return perror("bind"), 1;
    uint64_t count = 0;
    double first = 0, last = 0;
    patience(file, 5000000);
    for (;;) {
        point(MOST_OCTETS, 1);
        int got = recvmmsg(file, messages, BATCH, MSG_WAITFORONE, NULL);
        if (got <= 0) break;
        last = now();
        if (count == 0) {
            first = last;
            patience(file, 500000);
        }
        // The sender learns how many have arrived: at every step of 32, or when nothing waits.
        if ((count + got) / BATCH != count / BATCH || got < BATCH) {
            uint64_t told = count + got;
            sendto(file, &told, sizeof told, 0, (struct sockaddr *)&from[got - 1],
                   sizeof from[0]);
        }
        count += got;
    }
    printf("%llu %.0f\n", (unsigned long long)count, (last - first) * 1e6);
    return 0;
}

static int flood(int file, size_t length, double end, long window) {
    uint64_t sent = 0, arrived = 0, lost = 0, told;
    patience(file, 20000);
    while (now() < end) {
        point(length, 0);
        int count = sendmmsg(file, messages, BATCH, 0);
        if (count > 0) sent += count;
        while (recv(file, &told, sizeof told, MSG_DONTWAIT) == sizeof told) arrived = told;
        while (window && (int64_t)(sent - lost - arrived) > window - BATCH) {
            if (recv(file, &told, sizeof told, 0) == sizeof told) {
                if (told > arrived) arrived = told;
            } else {
                lost = sent - arrived;  // Silence: what was on the way is gone.
            }
        }
    }
    printf("%llu\n", (unsigned long long)sent);
    return 0;
}

int main(int count, char **words) {
    if (count == 3 && strcmp(words[1], "receive") == 0) return receive(atoi(words[2]));
    if (count != 7 || strcmp(words[1], "send") != 0) {
        fputs("packets receive PORT | send ADDRESS PORT OCTETS SECONDS WINDOW\n", stderr);
        return 2;
    }
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(atoi(words[3]))};
    if (inet_pton(AF_INET, words[2], &peer.sin_addr) != 1) return 2;
    int file = open_socket();
    if (connect(file, (struct sockaddr *)&peer, sizeof peer) != 0) return perror("connect"), 1;
    size_t length = atoi(words[4]);
    if (length > MOST_OCTETS) return 2;
    return flood(file, length, now() + atof(words[5]), atol(words[6]));
}
