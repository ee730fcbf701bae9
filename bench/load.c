/* The HTTP/1.1 load that wrk and h2load cannot make: another credential on every request, exactly
 * so many requests, requests at fixed times whatever the answers do, and connections that stay
 * open.
 *
 *   load PORT PATH [-c CONNECTIONS] [-n COUNT | -s SECONDS] [-r RATE] [-f CREDENTIALS] [-o FIRST]
 *        [-a AUTHORIZATION] [-p PAUSE_MS] [-k PATHS] [-i]
 *
 *   -f FILE   one Authorization value a line; each request takes the next line, from line FIRST on,
 *             and begins anew after the last
 *   -r RATE   requests a second in all, at even distances; a latency counts from the moment the
 *             request was due, also when no connection was free to send it
 *   -p MS     waits between an answer and the next request (with -c 1: one lone request at a time)
 *   -k N      a # in PATH stands for 0 to N-1, in turn
 *   -i        opens the connections one after another, one request each, says "open", and keeps
 *             them open until its stdin ends
 *
 * Prints one JSON object. Answers must have a Content-Length. Exit status 1 when something broke.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_REQUEST = 20000, READ_SIZE = 65536, MAX_STATUS = 600 };

struct connection {
  int fd;
  int busy;        /* a request is under way */
  int64_t due;     /* when it was to be sent */
  int64_t resume;  /* with a pause: when the next one is */
  char head[8192]; /* of the answer, until its end is found */
  size_t head_size;
  int64_t body_left; /* -1: the head is not complete */
};

static struct {
  int port, connections, idle;
  const char *path, *authorization, *file;
  long count, rate, pause_ms, first, paths;
  double seconds;
} opt = {.connections = 32};

static const char** lines;
static uint32_t* line_sizes;
static size_t line_count, next_line;

static uint32_t* latencies;
static size_t latency_count, latency_room;
static long statuses[MAX_STATUS];
static long broken, reconnects, started, answered, too_late;
static int poll_fd, timer_fd;

static void die(const char* what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void read_credentials(void) {
  int file = open(opt.file, O_RDONLY);
  struct stat info;
  if (file < 0 || fstat(file, &info) != 0 || info.st_size == 0) die(opt.file);
  const char* text = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  if (text == MAP_FAILED) die(opt.file);
  const char* end = text + info.st_size;
  size_t room = 0;
  for (const char* p = text; p < end;) {
    const char* stop = memchr(p, '\n', (size_t)(end - p));
    if (!stop) stop = end;
    if (line_count == room) {
      room = room ? room * 2 : 4096;
      lines = realloc(lines, room * sizeof *lines);
      line_sizes = realloc(line_sizes, room * sizeof *line_sizes);
      if (!lines || !line_sizes) die("memory");
    }
    lines[line_count] = p;
    line_sizes[line_count++] = (uint32_t)(stop - p);
    p = stop + 1;
  }
  next_line = (size_t)opt.first % line_count;
}

static void connect_to(struct connection* c, int blocking) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket");
  if (connect(c->fd, (struct sockaddr*)&to, sizeof to) != 0) die("connect");
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (blocking) return;
  if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0) die("fcntl");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
}

static void send_request(struct connection* c, int64_t due) {
  static char out[MAX_REQUEST];
  const char* mark = opt.paths > 0 ? strchr(opt.path, '#') : NULL;
  int size = mark ? snprintf(out, sizeof out, "GET %.*s%ld%s", (int)(mark - opt.path), opt.path,
                             started % opt.paths, mark + 1)
                  : snprintf(out, sizeof out, "GET %s", opt.path);
  size += snprintf(out + size, sizeof out - (size_t)size, " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n",
                   opt.port);
  const char* value = opt.authorization;
  int length = value ? (int)strlen(value) : 0;
  if (lines) {
    value = lines[next_line];
    length = (int)line_sizes[next_line];
    next_line = (next_line + 1) % line_count;
  }
  if (value)
    size +=
        snprintf(out + size, sizeof out - (size_t)size, "Authorization: %.*s\r\n", length, value);
  if (size + 3 > (int)sizeof out) {
    errno = E2BIG;
    die("credential");
  }
  memcpy(out + size, "\r\n", 2);
  size += 2;
  c->due = due;
  c->busy = 1;
  c->head_size = 0;
  c->body_left = -1;
  ++started;
  /* The socket's buffer is empty and larger than any request. */
  if (send(c->fd, out, (size_t)size, MSG_NOSIGNAL) != size) {
    ++broken;
    c->busy = 0;
  }
}

static void keep_latency(int64_t nanoseconds) {
  if (latency_count == latency_room) {
    latency_room = latency_room ? latency_room * 2 : 65536;
    latencies = realloc(latencies, latency_room * sizeof *latencies);
    if (!latencies) die("memory");
  }
  const int64_t tenths = nanoseconds / 100; /* of a microsecond */
  latencies[latency_count++] = tenths > UINT32_MAX ? UINT32_MAX : (uint32_t)tenths;
}

/* Finds the end of the head, the status and the length. Returns what of `size` belongs to the body.
 */
static ssize_t take_head(struct connection* c, const char* data, size_t size) {
  const size_t before = c->head_size;
  size_t room = sizeof c->head - 1 - before;
  size_t taken = size < room ? size : room;
  memcpy(c->head + before, data, taken);
  c->head_size += taken;
  c->head[c->head_size] = 0;
  const char* end = memmem(c->head, c->head_size, "\r\n\r\n", 4);
  if (!end) return c->head_size == sizeof c->head - 1 ? -1 : 0;
  const size_t head = (size_t)(end - c->head) + 4;
  const int status = atoi(c->head + 9);
  if (status < 100 || status >= MAX_STATUS) return -1;
  ++statuses[status];
  const char* length = strcasestr(c->head, "\r\ncontent-length:");
  if (length && length < end) {
    c->body_left = atoll(length + 17);
  } else if (status == 204 || status == 304) {
    c->body_left = 0;
  } else {
    return -1;
  }
  return (ssize_t)(size - (head - before));
}

/* 1 when the answer is complete, 0 when more is to come, -1 when it is broken. */
static int take(struct connection* c, const char* data, size_t size) {
  if (c->body_left < 0) {
    const ssize_t rest = take_head(c, data, size);
    if (rest < 0) return -1;
    if (c->body_left < 0) return 0;
    size = (size_t)rest;
  }
  c->body_left -= (int64_t)size;
  if (c->body_left < 0) return -1;
  return c->body_left == 0;
}

static void on_readable(struct connection* c) {
  static char buffer[READ_SIZE];
  for (;;) {
    const ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { /* a server may close an idle connection; in the middle of an answer it may not */
      broken += c->busy;
      reconnects += !c->busy;
      c->busy = 0;
      close(c->fd);
      connect_to(c, 0);
      return;
    }
    if (!c->busy) {
      ++broken;
      return;
    }
    const int state = take(c, buffer, (size_t)n);
    if (state == 0) continue;
    c->busy = 0;
    if (state < 0) {
      ++broken;
      close(c->fd);
      connect_to(c, 0);
      return;
    }
    const int64_t at = now();
    ++answered;
    keep_latency(at - c->due);
    c->resume = at + opt.pause_ms * 1000000;
    return;
  }
}

static int by_value(const void* a, const void* b) {
  const uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
  return (x > y) - (x < y);
}

static double millis(double share) {
  if (latency_count == 0) return 0;
  size_t index = (size_t)((double)latency_count * share);
  if (index >= latency_count) index = latency_count - 1;
  return latencies[index] / 10000.0;
}

static int report(double seconds) {
  qsort(latencies, latency_count, sizeof *latencies, by_value);
  printf(
      "{\"requests\":%ld,\"seconds\":%.6f,\"rps\":%.1f,\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%"
      ".4f,"
      "\"broken\":%ld,\"reconnects\":%ld,\"unsent\":%ld,\"status\":{",
      answered, seconds, (double)answered / seconds, millis(0.5), millis(0.99), millis(1), broken,
      reconnects, too_late);
  const char* comma = "";
  for (int i = 0; i < MAX_STATUS; ++i) {
    if (!statuses[i]) continue;
    printf("%s\"%d\":%ld", comma, i, statuses[i]);
    comma = ",";
  }
  printf("}}\n");
  fflush(stdout);
  return broken > 0;
}

static int hold(struct connection* all) {
  static char buffer[READ_SIZE];
  const int64_t began = now();
  for (int i = 0; i < opt.connections; ++i) {
    struct connection* c = &all[i];
    connect_to(c, 1);
    send_request(c, now());
    for (int state = 0; state == 0;) {
      const ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
      state = n <= 0 ? -1 : take(c, buffer, (size_t)n);
      if (state < 0) ++broken;
      answered += state == 1;
    }
    keep_latency(now() - c->due);
  }
  const int result = report((double)(now() - began) / 1e9);
  puts("open");
  fflush(stdout);
  while (read(0, buffer, sizeof buffer) > 0) {
  }
  return result;
}

static void wake_at(int64_t when) {
  struct itimerspec timer = {.it_value = {when / 1000000000, when % 1000000000}};
  timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

static int run(struct connection* all) {
  for (int i = 0; i < opt.connections; ++i) connect_to(&all[i], 0);
  struct epoll_event timer_event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer_fd, &timer_event);
  const int64_t began = now();
  const int64_t end = opt.seconds > 0 ? began + (int64_t)(opt.seconds * 1e9) : INT64_MAX / 2;
  const long limit = opt.count > 0 ? opt.count : LONG_MAX;
  long due_count = 0; /* with a rate: how many requests have had their time */
  int from = 0;       /* connections take turns */
  for (;;) {
    const int64_t at = now();
    const int open_ended = at < end && started < limit;
    long waiting = LONG_MAX;
    if (opt.rate > 0) {
      const int64_t until = at < end ? at : end;
      due_count = (long)((double)(until - began) * (double)opt.rate / 1e9) + 1;
      if (due_count > limit) due_count = limit;
      waiting = due_count - started;
    }
    int busy = 0;
    int64_t wake = INT64_MAX;
    for (int k = 0; k < opt.connections; ++k) {
      struct connection* c = &all[(from + k) % opt.connections];
      if (!c->busy && open_ended && waiting > 0 && started < limit) {
        if (opt.pause_ms > 0 && c->resume > at) {
          if (c->resume < wake) wake = c->resume;
        } else {
          send_request(c, opt.rate > 0 ? began + (int64_t)((double)started * 1e9 / (double)opt.rate)
                                       : now());
          --waiting;
        }
      }
      busy += c->busy;
    }
    from = (from + 1) % opt.connections;
    if (!open_ended && busy == 0) break;
    if (opt.rate > 0 && open_ended) {
      const int64_t next = began + (int64_t)((double)due_count * 1e9 / (double)opt.rate);
      if (next < wake) wake = next;
    }
    if (at > end + 10000000000) { /* answers that do not come */
      broken += busy;
      break;
    }
    wake_at(wake == INT64_MAX ? at + 100000000 : wake);
    struct epoll_event events[256];
    const int n = epoll_wait(poll_fd, events, 256, 200);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.ptr) {
        on_readable(events[i].data.ptr);
      } else {
        uint64_t ticks;
        if (read(timer_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timer");
      }
    }
  }
  if (opt.rate > 0) too_late = due_count - started;
  return report((double)(now() - began) / 1e9);
}

int main(int argc, char** argv) {
  for (int c; (c = getopt(argc, argv, "c:n:s:r:f:o:a:p:k:i")) != -1;) {
    switch (c) {
      case 'c':
        opt.connections = atoi(optarg);
        break;
      case 'n':
        opt.count = atol(optarg);
        break;
      case 's':
        opt.seconds = atof(optarg);
        break;
      case 'r':
        opt.rate = atol(optarg);
        break;
      case 'f':
        opt.file = optarg;
        break;
      case 'o':
        opt.first = atol(optarg);
        break;
      case 'a':
        opt.authorization = optarg;
        break;
      case 'p':
        opt.pause_ms = atol(optarg);
        break;
      case 'k':
        opt.paths = atol(optarg);
        break;
      case 'i':
        opt.idle = 1;
        break;
      default:
        return 2;
    }
  }
  if (argc - optind != 2 || opt.connections < 1 ||
      (!opt.idle && opt.count <= 0 && opt.seconds <= 0)) {
    fprintf(stderr, "usage: load [options] PORT PATH; see the beginning of load.c\n");
    return 2;
  }
  opt.port = atoi(argv[optind]);
  opt.path = argv[optind + 1];
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (opt.file) read_credentials();
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (poll_fd < 0 || timer_fd < 0) die("epoll");
  struct connection* all = calloc((size_t)opt.connections, sizeof *all);
  if (!all) die("memory");
  return opt.idle ? hold(all) : run(all);
}
