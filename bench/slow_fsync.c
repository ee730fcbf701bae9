/* Preloaded into a server (LD_PRELOAD): counts what it syncs to disk, and makes each sync slower.
 *
 *   SLOW_FSYNC_COUNTER=FILE   two 64-bit numbers: syncs, and the nanoseconds they took in all
 *   SLOW_FSYNC_US=N           sleeps N microseconds after each real sync; 0 or absent: only counts
 *   SLOW_FSYNC_SKIP=1         makes no sync at all: what a call costs without the disk. octroi itself
 *                             has no such setting, so that nobody runs it by mistake
 *
 * Otherwise the real call is made, so durability is what it was. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct counter {
  _Atomic uint64_t calls;
  _Atomic uint64_t nanoseconds;
};

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static struct counter* counter;
static long delay_us;
static int skip;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((constructor)) static void start(void) {
  real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  const char* delay = getenv("SLOW_FSYNC_US");
  if (delay) delay_us = atol(delay);
  skip = getenv("SLOW_FSYNC_SKIP") != NULL;
  const char* path = getenv("SLOW_FSYNC_COUNTER");
  if (!path) return;
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  if (ftruncate(file, sizeof(struct counter)) == 0) {
    void* map = mmap(NULL, sizeof(struct counter), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map != MAP_FAILED) counter = map;
  }
  close(file);
}

static int slow(int (*call)(int), int file) {
  const uint64_t began = now();
  const int result = skip ? 0 : call(file);
  const int failure = errno;
  if (delay_us > 0) {
    struct timespec left = {delay_us / 1000000, delay_us % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
  }
  if (counter) {
    atomic_fetch_add(&counter->calls, 1);
    atomic_fetch_add(&counter->nanoseconds, now() - began);
  }
  errno = failure;
  return result;
}

int fsync(int file) { return slow(real_fsync, file); }
int fdatasync(int file) { return slow(real_fdatasync, file); }
