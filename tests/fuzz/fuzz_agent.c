/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest says on the agent's channel: the whole client, connected to a listener of ours that plays the
 * input back at once and closes. The client may fail in any way it likes, but it must come back.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/backend/agent_client.h"
#include "driver/backend/unix_socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Guest {
    int listener;
    const uint8_t *data;
    size_t size;
} Guest;

static void *play(void *arg)
{
    Guest *guest = arg;
    int fd = accept4(guest->listener, NULL, NULL, SOCK_CLOEXEC);
    char sink[4096];

    if (fd < 0)
        return NULL;
    if (send(fd, guest->data, guest->size, MSG_NOSIGNAL) >= 0) {
        shutdown(fd, SHUT_WR);
        while (recv(fd, sink, sizeof(sink), 0) > 0)
            ;
    }
    close(fd);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[] = "/tmp/fuzz-agent-XXXXXX";
    char path[96];
    Guest guest = {.data = data, .size = size};
    AgentClient *client;
    json_t *ret = NULL;
    pthread_t thread;

    if (mkdtemp(folder) == NULL)
        return 0;
    snprintf(path, sizeof(path), "%s/s", folder);
    guest.listener = unix_socket_listen(path, 0600, (uid_t)-1, (gid_t)-1, NULL);
    if (size > 100000 || guest.listener < 0 || pthread_create(&thread, NULL, play, &guest) != 0) {
        if (guest.listener >= 0)
            close(guest.listener);
        return 0;
    }
    client = agent_client_new_seeded(path, 1);
    if (agent_call(client, "guest-info", NULL, 1, &ret, NULL))
        json_decref(ret);
    agent_client_close(client);
    agent_client_unref(client);
    shutdown(guest.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(guest.listener);
    unlink(path);
    rmdir(folder);
    return 0;
}
