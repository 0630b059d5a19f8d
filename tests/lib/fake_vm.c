/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that passes for a VM: speaks QMP on the socket whose path is given, as QEMU with -no-shutdown does, and
 * does nothing else. Tests drive it by commands of its own:
 *     x-emit {"event": NAME, "data": OBJECT}   sends that event
 *     x-hang {}                                never answers anything again
 *     x-last-words {}                          will say SHUTDOWN when SIGTERM ends it, as QEMU does
 * Its run state is kept in a file beside the socket, so that tests can look from outside.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *status = "prelaunch";
static int hung;
static volatile sig_atomic_t peer = -1;

static void on_sigterm(int number)
{
    static const char words[] = "{\"event\":\"SHUTDOWN\",\"timestamp\":{\"seconds\":1700000000,\"microseconds\":42},"
                                "\"data\":{\"guest\":false,\"reason\":\"host-signal\"}}\r\n";

    if (peer >= 0 && write(peer, words, sizeof(words) - 1) < 0)
        _exit(1);
    _exit(0);
}

static void say(int fd, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    char line[65536];
    int n = snprintf(line, sizeof(line), "%s\r\n", text);

    if (write(fd, line, (size_t)n) != n)
        exit(1);
    free(text);
    json_decref(message);
}

static void emit(int fd, const char *name, json_t *data)
{
    json_t *event = json_pack("{s:s, s:{s:I, s:i}}", "event", name, "timestamp", "seconds", (json_int_t)1700000000,
                              "microseconds", 42);

    if (data != NULL)
        json_object_set_new(event, "data", data);
    say(fd, event);
}

static void shut_down(int fd, int guest, const char *reason)
{
    emit(fd, "SHUTDOWN", json_pack("{s:b, s:s}", "guest", guest, "reason", reason));
    emit(fd, "STOP", NULL);
    status = "shutdown";
}

static void handle(int fd, json_t *message)
{
    const char *command = json_string_value(json_object_get(message, "execute"));
    json_t *args = json_object_get(message, "arguments");
    json_t *result = NULL;

    if (hung || command == NULL)
        return;
    if (strcmp(command, "cont") == 0) {
        if (strcmp(status, "running") != 0)
            emit(fd, "RESUME", NULL);
        status = "running";
    } else if (strcmp(command, "stop") == 0) {
        if (strcmp(status, "running") == 0)
            emit(fd, "STOP", NULL);
        status = "paused";
    } else if (strcmp(command, "query-status") == 0) {
        result = json_pack("{s:s, s:b, s:b}", "status", status, "running", strcmp(status, "running") == 0,
                           "singlestep", 0);
    } else if (strcmp(command, "system_powerdown") == 0) {
        shut_down(fd, 1, "guest-shutdown");
    } else if (strcmp(command, "system_reset") == 0) {
        emit(fd, "RESET", json_pack("{s:b, s:s}", "guest", 0, "reason", "host-qmp-system-reset"));
    } else if (strcmp(command, "x-emit") == 0) {
        json_t *data = json_object_get(args, "data");

        emit(fd, json_string_value(json_object_get(args, "event")), data != NULL ? json_incref(data) : NULL);
    } else if (strcmp(command, "x-hang") == 0) {
        hung = 1;
    } else if (strcmp(command, "x-last-words") == 0) {
        signal(SIGTERM, on_sigterm);
    }
    say(fd, json_pack("{s:o, s:O?}", "return", result != NULL ? result : json_object(), "id",
                      json_object_get(message, "id")));
}

static void serve(int fd)
{
    char line[65536];
    FILE *in = fdopen(dup(fd), "r");

    say(fd, json_loads("{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0},\"package\":\"\"},"
                       "\"capabilities\":[]}}",
                       0, NULL));
    while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
        json_t *message = json_loads(line, 0, NULL);

        if (message != NULL)
            handle(fd, message);
        json_decref(message);
    }
    if (in != NULL)
        fclose(in);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    if (argc != 2 || listener < 0 || strlen(argv[1]) >= sizeof(address.sun_path))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0)
        return 2;
    alarm(60); /* a test that dies must not leave it behind */
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            return 1;
        peer = fd;
        serve(fd);
        peer = -1;
        close(fd);
    }
}
