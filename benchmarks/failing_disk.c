/* Preloaded, it counts the file operations under a folder; one of them fails, or ends the process.

   cc -shared -fPIC -O1 -o failing_disk.so failing_disk.c -ldl
   LD_PRELOAD=./failing_disk.so python ...

   Armed by failing_disk_arm (tests/faults/operations.py, which says what may happen to an operation). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX], how[16];
static int log_to = -1;
static long at = -1, seen = 0;
static __thread int busy = 0;

void failing_disk_arm(const char *folder, int log, long number, const char *way) {
    snprintf(root, sizeof root, "%s", folder);
    snprintf(how, sizeof how, "%s", way);
    log_to = log, at = number, seen = 0;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define IS(word) (strcmp(how, word) == 0)

/* The folder that a path lies in, without links, and its name; of an open file (path NULL) where it lies. */
static void place(int folder, const char *path, char *found) {
    char whole[PATH_MAX * 2], link[64], parent[PATH_MAX];
    found[0] = 0;
    if (path == NULL || (path[0] != '/' && folder != AT_FDCWD)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t n = readlink(link, whole, PATH_MAX - 1);
        if (n < 0) return;
        whole[n] = 0;
        char *gone = strstr(whole, " (deleted)");
        if (gone) *gone = 0;
        if (path == NULL) { snprintf(found, PATH_MAX, "%s", whole); return; }
        snprintf(whole + n, sizeof whole - n, "/%s", path);
    } else if (path[0] != '/') {
        if (!getcwd(whole, PATH_MAX)) return;
        size_t n = strlen(whole);
        snprintf(whole + n, sizeof whole - n, "/%s", path);
    } else snprintf(whole, sizeof whole, "%s", path);
    size_t n = strlen(whole);
    while (n > 1 && whole[n - 1] == '/') whole[--n] = 0;
    char *name = strrchr(whole, '/');
    if (!name) return;
    *name++ = 0;
    if (!realpath(whole[0] ? whole : "/", parent)) return;
    if (snprintf(found, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "", name) >= PATH_MAX) found[0] = 0;
}

static int needs_room(const char *kind) {
    return strcmp(kind, "unlink") && strcmp(kind, "rmdir") && strcmp(kind, "rename") && strcmp(kind, "chmod") && strcmp(kind, "chown") &&
           strcmp(kind, "fsync");
}

/* 0 to go on, 1 to fail (errno is set), 2 to do the half, and to end after it where that was asked for. */
static int meet(const char *kind, int folder, const char *path) {
    if (busy || log_to < 0) return 0;
    int before = errno, result = 0;
    char where[PATH_MAX];
    busy = 1;
    place(folder, path, where);
    size_t n = strlen(root);
    if (where[0] && strncmp(where, root, n) == 0 && (where[n] == 0 || where[n] == '/')) {
        char line[PATH_MAX + 32];
        int size = snprintf(line, sizeof line, "%s\t%s\n", kind, where[n] ? where + n + 1 : ".");
        syscall(SYS_write, log_to, line, (size_t)size);
        long number = __sync_fetch_and_add(&seen, 1);
        if (number == at) {
            result = (IS("half") || IS("cut")) && strcmp(kind, "write") == 0 ? 2 : 1;
            if (IS("kill") || (IS("cut") && result == 1)) kill(getpid(), SIGKILL);
            before = IS("eio") ? EIO : ENOSPC;
        } else if (at >= 0 && number > at && (IS("full") || IS("half")) && needs_room(kind)) result = 1, before = ENOSPC;
    }
    busy = 0;
    errno = before;
    return result;
}

static ssize_t half(ssize_t done) { if (IS("cut")) kill(getpid(), SIGKILL); return done; }

#define WRITING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)
#define OPENS(name, folder, ...)                                                            \
    int mode = 0;                                                                           \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); } \
    if ((flags & WRITING) && meet("open", folder, path)) return -1;                         \
    REAL(name);                                                                             \
    return real(__VA_ARGS__, flags, mode);

int open(const char *path, int flags, ...) { OPENS(open, AT_FDCWD, path) }
int open64(const char *path, int flags, ...) { OPENS(open64, AT_FDCWD, path) }
int openat(int folder, const char *path, int flags, ...) { OPENS(openat, folder, folder, path) }
int openat64(int folder, const char *path, int flags, ...) { OPENS(openat64, folder, folder, path) }
int creat(const char *path, mode_t mode) { if (meet("open", AT_FDCWD, path)) return -1; REAL(creat); return real(path, mode); }
FILE *fopen(const char *path, const char *mode) {
    if (strpbrk(mode, "wa+") && meet("open", AT_FDCWD, path)) return NULL;
    REAL(fopen); return real(path, mode);
}
FILE *fopen64(const char *path, const char *mode) {
    if (strpbrk(mode, "wa+") && meet("open", AT_FDCWD, path)) return NULL;
    REAL(fopen64); return real(path, mode);
}

ssize_t write(int file, const void *content, size_t n) {
    int found = meet("write", file, NULL);
    if (found == 1) return -1;
    if (found == 2) return half(syscall(SYS_write, file, content, n / 2));
    return syscall(SYS_write, file, content, n);
}
ssize_t pwrite(int file, const void *content, size_t n, off_t offset) {
    int found = meet("write", file, NULL);
    if (found == 1) return -1;
    if (found == 2) return half(syscall(SYS_pwrite64, file, content, n / 2, offset));
    return syscall(SYS_pwrite64, file, content, n, offset);
}
ssize_t pwrite64(int file, const void *content, size_t n, off64_t offset) { return pwrite(file, content, n, offset); }
ssize_t writev(int file, const struct iovec *parts, int n) {
    int found = meet("write", file, NULL);
    if (found == 1) return -1;
    if (found == 2) return half(syscall(SYS_write, file, parts[0].iov_base, parts[0].iov_len / 2));
    return syscall(SYS_writev, file, parts, n);
}

#define PLAIN(type, name, kind, folder, path, declared, ...) \
    type name declared { if (meet(kind, folder, path)) return -1; REAL(name); return real(__VA_ARGS__); }

PLAIN(ssize_t, sendfile, "write", to, NULL, (int to, int from, off_t *offset, size_t n), to, from, offset, n)
PLAIN(ssize_t, sendfile64, "write", to, NULL, (int to, int from, off64_t *offset, size_t n), to, from, offset, n)
PLAIN(ssize_t, copy_file_range, "write", to, NULL,
      (int from, off64_t *a, int to, off64_t *b, size_t n, unsigned flags), from, a, to, b, n, flags)
PLAIN(int, fsync, "fsync", file, NULL, (int file), file)
PLAIN(int, fdatasync, "fsync", file, NULL, (int file), file)
PLAIN(int, rename, "rename", AT_FDCWD, b, (const char *a, const char *b), a, b)
PLAIN(int, renameat, "rename", to, b, (int from, const char *a, int to, const char *b), from, a, to, b)
PLAIN(int, renameat2, "rename", to, b, (int from, const char *a, int to, const char *b, unsigned flags), from, a, to, b, flags)
PLAIN(int, unlink, "unlink", AT_FDCWD, path, (const char *path), path)
PLAIN(int, unlinkat, flags & AT_REMOVEDIR ? "rmdir" : "unlink", folder, path, (int folder, const char *path, int flags), folder, path, flags)
PLAIN(int, rmdir, "rmdir", AT_FDCWD, path, (const char *path), path)
PLAIN(int, mkdir, "mkdir", AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
PLAIN(int, mkdirat, "mkdir", folder, path, (int folder, const char *path, mode_t mode), folder, path, mode)
PLAIN(int, link, "link", AT_FDCWD, b, (const char *a, const char *b), a, b)
PLAIN(int, linkat, "link", to, b, (int from, const char *a, int to, const char *b, int flags), from, a, to, b, flags)
PLAIN(int, symlink, "symlink", AT_FDCWD, b, (const char *a, const char *b), a, b)
PLAIN(int, ftruncate, "truncate", file, NULL, (int file, off_t n), file, n)
PLAIN(int, ftruncate64, "truncate", file, NULL, (int file, off64_t n), file, n)
PLAIN(int, fallocate, "fallocate", file, NULL, (int file, int mode, off_t a, off_t n), file, mode, a, n)
PLAIN(int, chmod, "chmod", AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
PLAIN(int, fchmod, "chmod", file, NULL, (int file, mode_t mode), file, mode)
PLAIN(int, fchown, "chown", file, NULL, (int file, uid_t user, gid_t group), file, user, group)
PLAIN(int, fchmodat, "chmod", folder, path, (int folder, const char *path, mode_t mode, int flags), folder, path, mode, flags)

int posix_fallocate(int file, off_t a, off_t n) {
    if (meet("fallocate", file, NULL)) return errno;
    REAL(posix_fallocate); return real(file, a, n);
}
int posix_fallocate64(int file, off64_t a, off64_t n) {
    if (meet("fallocate", file, NULL)) return errno;
    REAL(posix_fallocate64); return real(file, a, n);
}
