/* The file of a listening Unix socket: what lies at its path already, and what becomes of it. */

#include "check.h"
#include "wsabi.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char path[64], other[64], url[96];

/* A path that nothing is at, and the URL to listen there. */
static void begin(void) {
  snprintf(path, sizeof path, "/tmp/wsabi-file-%d.sock", (int)getpid());
  snprintf(other, sizeof other, "/tmp/wsabi-file-%d.other", (int)getpid());
  snprintf(url, sizeof url, "ws+unix://%s:/", path);
  unlink(path);
  unlink(other);
}

static void end(void) {
  unlink(path);
  unlink(other);
}

/* What is at a path: the type of the file, 0 for nothing. */
static int kind_at(const char *where) {
  struct stat there;
  return lstat(where, &there) == 0 ? (int)(there.st_mode & S_IFMT) : 0;
}

/* A socket that is bound to the path: it listens, or is dead and gone. */
static int bound_at(const char *where, int type) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, type, 0);
  strncpy(address.sun_path, where, sizeof address.sun_path - 1);
  EXPECT_IS(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static int listens_at(const char *where) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0), is;
  strncpy(address.sun_path, where, sizeof address.sun_path - 1);
  is = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  close(fd);
  return is;
}

/* Whether listening is refused, with this errno, and what is there stays. */
static void is_refused(int code) {
  ws_listener *listener = (ws_listener *)&listener;
  int before = kind_at(path);
  EXPECT_IS(ws_listen(NULL, url, &listener), WS_ERR_IO);
  EXPECT_IS(errno, code);
  EXPECT_IS(listener == NULL, 1);
  EXPECT_IS(kind_at(path), before);
}

static void a_file_at_the_path_is_left_alone(void) {
  char content[8] = {0};
  int fd;
  begin();
  fd = open(path, O_CREAT | O_WRONLY, 0600);
  CHECK_IS(write(fd, "dear", 4), 4);
  close(fd);
  is_refused(EEXIST);
  fd = open(path, O_RDONLY);
  CHECK_IS(read(fd, content, sizeof content), 4);
  close(fd);
  end();
}

static void a_fifo_at_the_path_is_left_alone(void) {
  begin();
  CHECK_IS(mkfifo(path, 0600), 0);
  is_refused(EEXIST);
  end();
}

static void a_directory_at_the_path_is_left_alone(void) {
  begin();
  CHECK_IS(mkdir(path, 0700), 0);
  is_refused(EEXIST);
  CHECK_IS(rmdir(path), 0);
  end();
}

static void a_symbolic_link_at_the_path_is_left_alone(void) {
  int fd;
  begin();
  CHECK_IS(symlink("/nowhere/at/all", path), 0); /* to nothing */
  is_refused(EEXIST);
  end();
  CHECK_IS(symlink(other, path), 0); /* to a socket that nobody listens at */
  close(bound_at(other, SOCK_STREAM));
  is_refused(EEXIST);
  CHECK_IS(kind_at(other), S_IFSOCK);
  unlink(other);
  fd = open(other, O_CREAT | O_WRONLY, 0600); /* to a file */
  close(fd);
  is_refused(EEXIST);
  CHECK_IS(kind_at(other), S_IFREG);
  end();
}

static void a_socket_that_somebody_uses_is_left_alone(void) {
  int fd;
  begin();
  fd = bound_at(path, SOCK_STREAM);
  CHECK_IS(listen(fd, 1), 0);
  is_refused(EADDRINUSE);
  CHECK(listens_at(path));
  close(fd);
  unlink(path);
  fd = bound_at(path, SOCK_DGRAM);
  is_refused(EADDRINUSE);
  close(fd);
  unlink(path);
  fd = bound_at(path, SOCK_SEQPACKET);
  CHECK_IS(listen(fd, 1), 0);
  is_refused(EADDRINUSE);
  close(fd);
  end();
}

/* A queue that is full is not the same as nobody there. */
static void a_busy_listener_is_left_alone(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd, clients[64], count;
  begin();
  fd = bound_at(path, SOCK_STREAM);
  CHECK_IS(listen(fd, 0), 0);
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  for (count = 0; count < 64; count++) {
    clients[count] = socket(AF_UNIX, SOCK_STREAM, 0);
    fcntl(clients[count], F_SETFL, O_NONBLOCK);
    if (connect(clients[count], (struct sockaddr *)&address, sizeof address) != 0) break;
  }
  CHECK(count < 64);
  is_refused(EADDRINUSE);
  for (; count >= 0; count--) close(clients[count]);
  close(fd);
  end();
}

static void a_dead_socket_is_replaced(void) {
  ws_listener *listener;
  begin();
  close(bound_at(path, SOCK_STREAM));
  CHECK_IS(ws_listen(NULL, url, &listener), WS_OK);
  CHECK(listens_at(path));
  ws_listener_free(listener);
  CHECK_IS(kind_at(path), 0);
  end();
}

static void a_freed_listener_leaves_its_successors_socket_alone(void) {
  ws_listener *first, *second;
  begin();
  CHECK_IS(ws_listen(NULL, url, &first), WS_OK);
  CHECK_IS(unlink(path), 0); /* as whoever replaces a server does */
  CHECK_IS(ws_listen(NULL, url, &second), WS_OK);
  ws_listener_free(first);
  CHECK_IS(kind_at(path), S_IFSOCK);
  CHECK(listens_at(path));
  ws_listener_free(second);
  CHECK_IS(kind_at(path), 0);
  end();
}

static void a_freed_listener_leaves_alone_what_took_its_place(void) {
  ws_listener *listener;
  int fd;
  begin();
  CHECK_IS(ws_listen(NULL, url, &listener), WS_OK);
  CHECK_IS(unlink(path), 0);
  fd = open(path, O_CREAT | O_WRONLY, 0600);
  close(fd);
  ws_listener_free(listener);
  CHECK_IS(kind_at(path), S_IFREG);
  unlink(path);
  CHECK_IS(ws_listen(NULL, url, &listener), WS_OK);
  CHECK_IS(rename(path, other), 0);
  CHECK_IS(symlink(other, path), 0); /* that leads to its own socket */
  ws_listener_free(listener);
  CHECK_IS(kind_at(path), S_IFLNK);
  CHECK_IS(kind_at(other), S_IFSOCK);
  end();
}

/* The path was meant from where the program stood then. */
static void a_freed_listener_removes_its_socket_wherever_the_program_is_by_then(void) {
  ws_listener *listener;
  char before[512], relative[96];
  begin();
  CHECK(getcwd(before, sizeof before) != NULL);
  CHECK_IS(chdir("/tmp"), 0);
  snprintf(relative, sizeof relative, "ws+unix://%s:/", path + strlen("/tmp/"));
  CHECK_IS(ws_listen(NULL, relative, &listener), WS_OK);
  CHECK_IS(kind_at(path), S_IFSOCK);
  CHECK_IS(chdir("/"), 0);
  ws_listener_free(listener);
  CHECK_IS(kind_at(path), 0);
  CHECK_IS(chdir(before), 0);
  end();
}

/* All begin at once at a socket left behind: one of them gets it, and keeps it. */
static void of_many_that_start_at_a_dead_socket_one_listens(void) {
  enum { PROCESSES = 8 };
  int round;
  begin();
  for (round = check_reduced(40); round > 0; round--) {
    int go[2], stop[2], said[2], i, listening = 0;
    char word;
    close(bound_at(path, SOCK_STREAM));
    CHECK(pipe(go) == 0 && pipe(stop) == 0 && pipe(said) == 0);
    for (i = 0; i < PROCESSES; i++) {
      if (fork() == 0) {
        ws_listener *listener;
        close(go[1]), close(stop[1]);
        while (read(go[0], &word, 1) > 0) continue;
        word = ws_listen(NULL, url, &listener) == WS_OK ? 'y' : errno == EADDRINUSE ? 'n' : '?';
        if (write(said[1], &word, 1) != 1) _exit(1);
        while (read(stop[0], &word, 1) > 0) continue;
        _exit(0);
      }
    }
    close(go[1]);
    for (i = 0; i < PROCESSES; i++) {
      CHECK_IS(read(said[0], &word, 1), 1);
      CHECK(word != '?');
      listening += word == 'y';
    }
    CHECK_IS(listening, 1);
    CHECK(listens_at(path));
    close(stop[1]);
    for (i = 0; i < PROCESSES; i++) wait(NULL);
    close(go[0]), close(stop[0]), close(said[0]), close(said[1]);
    unlink(path);
  }
  end();
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(a_file_at_the_path_is_left_alone);
  RUN(a_fifo_at_the_path_is_left_alone);
  RUN(a_directory_at_the_path_is_left_alone);
  RUN(a_symbolic_link_at_the_path_is_left_alone);
  RUN(a_socket_that_somebody_uses_is_left_alone);
  RUN(a_busy_listener_is_left_alone);
  RUN(a_dead_socket_is_replaced);
  RUN(a_freed_listener_leaves_its_successors_socket_alone);
  RUN(a_freed_listener_leaves_alone_what_took_its_place);
  RUN(a_freed_listener_removes_its_socket_wherever_the_program_is_by_then);
  RUN(of_many_that_start_at_a_dead_socket_one_listens);
  return check_end();
}
