/* The smallest thing that checks. A test is a function named after what it promises; main() lists them:
 *
 *     RUN(a_thing_holds);
 *     return check_end();
 *
 * A word on the command line runs only the tests with that word in their names, `--exact NAME` the one of that name, and
 * `--list` names them all, as Rust's tests do. */
#ifndef CHECK_H
#define CHECK_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __wasi__ /* no signal ends a program there: whoever runs it does */
static unsigned alarm(unsigned seconds) { return seconds; }
#endif

static int check_passed, check_failed, check_failed_here;
static const char *check_name, *check_only;
static int check_exact, check_listing;

static inline int check_end(void) {
  if (check_listing) return 0;
  printf("%d passed, %d failed\n", check_passed, check_failed);
  return check_failed > 0;
}

/* Only the first failure of a test is shown: the others tend to follow from it. Threads may call this. */
static inline void check_fail(const char *file, int line, const char *what, const char *more) {
  if (!__atomic_exchange_n(&check_failed_here, 1, __ATOMIC_SEQ_CST))
    printf("FAIL %s: %s:%d %s%s\n", check_name, file, line, what, more);
}

static inline int check_equal(const char *file, int line, const char *what, long long got, long long wanted) {
  char more[64];
  if (got == wanted) return 1;
  snprintf(more, sizeof more, " (%lld, not %lld)", got, wanted);
  check_fail(file, line, what, more);
  return 0;
}

static inline void check_hangs(int signal) {
  (void)signal;
  check_fail("", 0, "hangs", "");
  check_failed++;
  exit(check_end());
}

static inline void check_begin(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  check_listing = argc > 1 && strcmp(argv[1], "--list") == 0;
  check_exact = argc > 2 && strcmp(argv[1], "--exact") == 0;
  check_only = check_listing ? "" : argc > 1 + check_exact ? argv[1 + check_exact] : "";
  signal(SIGALRM, check_hangs);
}

/* The environment may ask for fewer rounds: under a checker everything is slow. */
static inline int check_reduced(int count) {
  const char *divisor = getenv("CHECK_REDUCE");
  int by = divisor ? atoi(divisor) : 1;
  return by > 1 ? (count + by - 1) / by : count;
}

static inline void check_run(void (*test)(void), const char *name) {
  if (check_exact ? strcmp(name, check_only) != 0 : !strstr(name, check_only)) return;
  if (check_listing) {
    printf("%s: test\n", name);
    return;
  }
  check_name = name;
  check_failed_here = 0;
  alarm(90);
  test();
  alarm(0);
  if (check_failed_here) {
    check_failed++;
  } else {
    check_passed++;
    printf("ok %s\n", name);
  }
}

/* For what this machine does not have. Where everything has to be there, that is a failure. */
static inline void check_skip(const char *why) {
  const char *ci = getenv("CI");
  if (ci && strcmp(ci, "true") == 0) check_fail("", 0, "skipped: ", why);
  else printf("skip %s: %s\n", check_name, why);
}

#define RUN(test) check_run(test, #test)

/* The same for what Windows does not have: tests/windows/absent.txt lists it. */
#ifdef _WIN32
#define RUN_POSIX(test) ((void)(test))
#else
#define RUN_POSIX(test) RUN(test)
#endif

/* Ends the test where it does not hold; only in functions that return nothing. */
#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      check_fail(__FILE__, __LINE__, #condition, ""); \
      return; \
    } \
  } while (0)

/* The same for two numbers, and shows them. */
#define CHECK_IS(got, wanted) \
  do { \
    if (!check_equal(__FILE__, __LINE__, #got " is " #wanted, (long long)(got), (long long)(wanted))) return; \
  } while (0)

/* A part of a test, in a function of its own: ends the test where that has failed. */
#define TRY(part) \
  do { \
    part; \
    if (check_failed_here) return; \
  } while (0)

/* Goes on in any case: for threads and helpers. */
#define EXPECT_IS(got, wanted) \
  check_equal(__FILE__, __LINE__, #got " is " #wanted, (long long)(got), (long long)(wanted))

/* What a test cannot begin without. Its failure is no finding about the library: the program ends, with a status of its
 * own. */
#define NEED(condition) \
  do { \
    if (!(condition)) { \
      check_fail(__FILE__, __LINE__, "cannot begin: ", #condition); \
      exit(CHECK_CANNOT_BEGIN); \
    } \
  } while (0)

enum { CHECK_CANNOT_BEGIN = 2 };

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#endif
