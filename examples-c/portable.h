/* What the examples do in another way on Windows: being stopped, many open files, and waiting for input beside a connection. */
#ifndef PORTABLE_H
#define PORTABLE_H

#include <wsabi.h>

/* Calls `act` once, when the user or the system stops the program; on a thread of its own. Call it before other threads are
 * started. Returns 0 if that is impossible. */
static inline int on_stop(void (*act)(void));

/* Waits until `act` has been called and is over: what it uses can be freed then. */
static inline void after_stop(void);

/* Waits until the connection has something to do, the file can be read from, or the time is over, in ms; -1 waits for ever, and
 * so does a file of -1 for itself. Returns whether the file can be read from, or -1 with errno. */
static inline int wait_for_both(ws_conn *conn, int fd, int timeout);

#ifdef _WIN32

#include <fcntl.h>
#include <io.h>
#include <windows.h>

static void (*portable_act)(void);
static volatile LONG portable_is_over;

static inline BOOL WINAPI portable_on_event(DWORD event)
{
    (void)event;
    portable_act();
    InterlockedExchange(&portable_is_over, 1);
    Sleep(1000); /* once this returns from a closed console or a shutdown, the program is gone */
    return TRUE;
}

static inline int on_stop(void (*act)(void))
{
    portable_act = act;
    return SetConsoleCtrlHandler(portable_on_event, TRUE);
}

static inline void after_stop(void)
{
    while (!InterlockedCompareExchange(&portable_is_over, 0, 0))
        Sleep(1);
}

static inline int portable_has_input(int fd)
{
    HANDLE file = (HANDLE)_get_osfhandle(fd);
    DWORD bytes = 0;

    switch (GetFileType(file)) {
    case FILE_TYPE_PIPE:
        return !PeekNamedPipe(file, NULL, 0, NULL, &bytes, NULL) || bytes > 0; /* it fails at the end */
    case FILE_TYPE_CHAR:
        return WaitForSingleObject(file, 0) == WAIT_OBJECT_0;
    default:
        return 1;
    }
}

/* A socket and a file cannot be waited for in one: the file is looked at now and then. */
static inline int wait_for_both(ws_conn *conn, int fd, int timeout)
{
    enum { LOOK_MS = 10 };
    uint64_t begun = ws_now();

    for (;;) {
        uint64_t passed = ws_now() - begun;
        int left = timeout < 0 ? -1 : passed < (uint64_t)timeout ? timeout - (int)passed : 0;

        if (fd >= 0 && portable_has_input(fd))
            return 1;
        if (ws_wait(conn, fd >= 0 && (left < 0 || left > LOOK_MS) ? LOOK_MS : left) != WS_ERR_WOULD_BLOCK || left == 0)
            return 0;
    }
}

#else

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#define O_BINARY 0 /* files are */

static sigset_t portable_signals;
static pthread_t portable_thread;
static void (*portable_act)(void);

static inline void *portable_wait_for_signals(void *nothing)
{
    int number;

    sigwait(&portable_signals, &number);
    portable_act();
    return nothing;
}

/* A signal handler may call next to nothing: a thread waits for the signals. */
static inline int on_stop(void (*act)(void))
{
    portable_act = act;
    sigemptyset(&portable_signals);
    sigaddset(&portable_signals, SIGTERM);
    sigaddset(&portable_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &portable_signals, NULL); /* also for all threads created later */
    return pthread_create(&portable_thread, NULL, portable_wait_for_signals, NULL) == 0;
}

static inline void after_stop(void)
{
    pthread_join(portable_thread, NULL);
}

static inline int wait_for_both(ws_conn *conn, int fd, int timeout)
{
    struct pollfd fds[2] = {{.fd = (int)ws_get_socket(conn)}, {.fd = fd, .events = POLLIN}};
    uint32_t interest = ws_interest(conn);

    fds[0].events = (short)((interest & WS_WANT_READ ? POLLIN : 0) | (interest & WS_WANT_WRITE ? POLLOUT : 0));
    if (poll(fds, 2, timeout) < 0)
        return errno == EINTR ? 0 : -1;
    return fds[1].revents != 0;
}

#endif
#endif
