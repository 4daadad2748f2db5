/* What the tests and examples in C use of POSIX, as Windows has it. Included before everything else; the headers beside it have
 * the names that the sources ask for, and nothing in them. Error numbers are Winsock's. */
#ifndef POSIX_H
#define POSIX_H

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#ifdef __cplusplus
#include <system_error> /* which is to have the numbers of before */
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <afunix.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#undef EAGAIN
#undef EWOULDBLOCK
#undef EADDRINUSE
#undef ECONNREFUSED
#undef ECONNRESET
#undef ECONNABORTED
#undef ENOTCONN
#undef ETIMEDOUT
#undef EINPROGRESS
#undef EHOSTUNREACH
#undef EMFILE
#undef EINTR
#undef EBADF
#undef EPIPE
#undef ENOTSOCK
#undef EACCES
#define EAGAIN WSAEWOULDBLOCK
#define EWOULDBLOCK WSAEWOULDBLOCK
#define EADDRINUSE WSAEADDRINUSE
#define ECONNREFUSED WSAECONNREFUSED
#define ECONNRESET WSAECONNRESET
#define ECONNABORTED WSAECONNABORTED
#define ENOTCONN WSAENOTCONN
#define ETIMEDOUT WSAETIMEDOUT
#define EINPROGRESS WSAEWOULDBLOCK
#define EHOSTUNREACH WSAEHOSTUNREACH
#define EMFILE WSAEMFILE
#define EINTR WSAEINTR
#define EBADF WSAEBADF
#define EPIPE WSAESHUTDOWN
#define ENOTSOCK WSAENOTSOCK
#define EACCES WSAEACCES

#define MSG_NOSIGNAL 0
#define MSG_DONTWAIT 0x1000000 /* for the two calls below alone */
#define SHUT_RD SD_RECEIVE
#define SHUT_WR SD_SEND
#define SHUT_RDWR SD_BOTH
#define O_NONBLOCK 0x4000
#define O_CLOEXEC 0
#define F_GETFL 1
#define F_SETFL 2
#define F_GETFD 3
#define SIGALRM 14
#define SIGPIPE 13
#ifndef AF_UNIX
#define AF_UNIX 1
#endif

static void __attribute__((constructor)) posix_start(void) {
  WSADATA data;
  WSAStartup(MAKEWORD(2, 2), &data);
}

static inline int posix_result(int result) {
  if (result < 0) errno = WSAGetLastError();
  return result;
}

static inline int posix_is_socket(int fd) {
  int type, len = sizeof type;
  return getsockopt((SOCKET)fd, SOL_SOCKET, SO_TYPE, (char *)&type, &len) == 0;
}

static inline int posix_close(int fd) { return posix_is_socket(fd) ? posix_result(closesocket((SOCKET)fd)) : _close(fd); }

static inline int posix_socket(int family, int type, int protocol) {
  return posix_result((int)socket(family == AF_UNIX ? AF_INET : family, type, protocol));
}

static inline int posix_accept(int fd, struct sockaddr *address, socklen_t *len) {
  return posix_result((int)accept((SOCKET)fd, address, len));
}

static inline ssize_t posix_send(int fd, const void *bytes, size_t len, int flags) {
  u_long on = 1, off = 0;
  ssize_t result;
  if (!(flags & MSG_DONTWAIT)) return posix_result(send((SOCKET)fd, (const char *)bytes, (int)len, flags));
  ioctlsocket((SOCKET)fd, FIONBIO, &on);
  result = posix_result(send((SOCKET)fd, (const char *)bytes, (int)len, flags & ~MSG_DONTWAIT));
  ioctlsocket((SOCKET)fd, FIONBIO, &off);
  return result;
}

static inline ssize_t posix_recv(int fd, void *bytes, size_t len, int flags) {
  WSAPOLLFD entry = {(SOCKET)fd, POLLRDNORM, 0};
  if (flags & MSG_DONTWAIT && WSAPoll(&entry, 1, 0) == 0) {
    errno = WSAEWOULDBLOCK;
    return -1;
  }
  return posix_result(recv((SOCKET)fd, (char *)bytes, (int)len, flags & ~MSG_DONTWAIT));
}

static inline int posix_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
  return posix_result(setsockopt((SOCKET)fd, level, name, (const char *)value, len));
}

static inline int posix_getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
  return posix_result(getsockopt((SOCKET)fd, level, name, (char *)value, len));
}

/* Entries without a socket are passed over, which WSAPoll does not do. */
static inline int posix_poll(struct pollfd *fds, int count, int timeout) {
  struct pollfd real[8];
  ULONG reals = 0;
  int i, result;
  for (i = 0; i < count; i++) {
    fds[i].revents = 0;
    if (fds[i].fd != INVALID_SOCKET && reals < 8) real[reals++] = fds[i];
  }
  if (reals == 0) {
    Sleep((DWORD)timeout);
    return 0;
  }
  result = posix_result(WSAPoll(real, reals, timeout));
  for (i = 0, reals = 0; i < count; i++)
    if (fds[i].fd != INVALID_SOCKET) fds[i].revents = real[reals++].revents;
  return result;
}

/* Windows does not say whether a socket blocks. */
static inline int posix_fcntl(int fd, int command, int flags) {
  u_long on = (flags & O_NONBLOCK) != 0;
  return command == F_SETFL ? posix_result(ioctlsocket((SOCKET)fd, FIONBIO, &on)) : 0;
}

/* Over the loopback, with buffers as small as a Unix socket's. */
static inline int posix_socketpair(int family, int type, int protocol, int pair[2]) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  const SOCKET listening = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1, small = 64 << 10, result;
  (void)family;
  (void)type;
  (void)protocol;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  pair[0] = (int)socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listening, SOL_SOCKET, SO_RCVBUF, (const char *)&small, sizeof small);
  setsockopt((SOCKET)pair[0], SOL_SOCKET, SO_RCVBUF, (const char *)&small, sizeof small);
  setsockopt((SOCKET)pair[0], SOL_SOCKET, SO_SNDBUF, (const char *)&small, sizeof small);
  result = bind(listening, (struct sockaddr *)&address, len) == 0 && listen(listening, 1) == 0
           && getsockname(listening, (struct sockaddr *)&address, &len) == 0
           && connect((SOCKET)pair[0], (struct sockaddr *)&address, len) == 0;
  pair[1] = (int)accept(listening, NULL, NULL);
  closesocket(listening);
  setsockopt((SOCKET)pair[1], SOL_SOCKET, SO_SNDBUF, (const char *)&small, sizeof small);
  setsockopt((SOCKET)pair[0], IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
  setsockopt((SOCKET)pair[1], IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
  return result ? 0 : -1;
}

/* What a signal would tell, a thread of its own does. */
static void (*posix_on_alarm)(int);
static volatile LONG posix_alarm_number;

static DWORD WINAPI posix_wait_for_alarm(void *number_and_seconds) {
  const ULONG_PTR both = (ULONG_PTR)number_and_seconds;
  Sleep((DWORD)(both & 0xffff) * 1000);
  if (posix_alarm_number == (LONG)(both >> 16) && posix_on_alarm) posix_on_alarm(SIGALRM);
  return 0;
}

static inline unsigned posix_alarm(unsigned seconds) {
  const ULONG_PTR number = (ULONG_PTR)InterlockedIncrement(&posix_alarm_number);
  HANDLE thread;
  if (seconds == 0) return 0;
  thread = CreateThread(NULL, 64 << 10, posix_wait_for_alarm, (void *)(number << 16 | seconds),
                        STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
  if (thread) CloseHandle(thread);
  return 0;
}

static inline void posix_signal(int number, void (*act)(int)) {
  if (number == SIGALRM) posix_on_alarm = act;
  else if (number != SIGPIPE) signal(number, act);
}

static inline ssize_t posix_pread(int fd, void *bytes, size_t len, long long at) {
  (void)fd, (void)bytes, (void)len, (void)at;
  return -1;
}

static inline int posix_pipe(int pipes[2]) { return _pipe(pipes, 4096, _O_BINARY); }

/* Names that only tests use which RUN_POSIX leaves out. */
typedef ADDRESS_FAMILY sa_family_t;
struct rlimit { unsigned long rlim_cur, rlim_max; };
struct sigaction { void (*sa_handler)(int); int sa_flags; };
struct epoll_event { unsigned events; };
enum { RLIMIT_NOFILE, SIGUSR1 = 10, SYS_accept4 = 0 };
#define RTLD_NEXT NULL
#define sigaction(number, action, before) ((void)(action))
#define dlsym(library, name) NULL
#define syscall(...) (-1)
#define getaddrinfo posix_getaddrinfo
#define freeaddrinfo posix_freeaddrinfo

typedef unsigned long rlim_t;
static inline int getrlimit(int what, struct rlimit *limit) { return (void)what, (void)limit, -1; }
static inline int setrlimit(int what, const struct rlimit *limit) { return (void)what, (void)limit, -1; }

static inline int posix_setenv(const char *name, const char *value, int overwrite) {
  (void)overwrite;
  return _putenv_s(name, value);
}

static inline int posix_unsetenv(const char *name) { return _putenv_s(name, ""); }

#ifndef __cplusplus /* where they are members, too */
#define close posix_close
#define socket(family, type, protocol) posix_socket(family, type, protocol)
#define accept(fd, address, len) posix_accept(fd, address, len)
#define signal(number, act) posix_signal(number, act)
#define fcntl(fd, command, ...) posix_fcntl(fd, command, __VA_ARGS__ + 0)
#define poll(fds, count, timeout) posix_poll(fds, count, timeout)
#define recv(fd, bytes, len, flags) posix_recv(fd, bytes, len, flags)
#define send(fd, bytes, len, flags) posix_send(fd, bytes, len, flags)
#endif
#define setsockopt posix_setsockopt
#define getsockopt posix_getsockopt
#define socketpair posix_socketpair
#define alarm posix_alarm
#define pread posix_pread
#define pipe posix_pipe
#define setenv posix_setenv
#define unsetenv posix_unsetenv

#endif
