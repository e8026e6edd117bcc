/* Says what a process in a container finds, one fact a line: "section key: value", so that the answers of two engines
 * can be compared line by line. Built static at test time; runs as a container's only program.
 *
 * The system calls are asked one after the other, each in a child of its own, with arguments that no call takes; what
 * comes back is the errno, whichever of kernel and filter gave it. Both engines run on one kernel, so a difference is
 * the filter's. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST_CALL 480

extern char **environ;

static void lines_of(const char *section, const char *path) {
    char line[4096];
    FILE *file = fopen(path, "r");
    if (!file) {
        printf("%s %s: %s\n", section, path, strerror(errno));
        return;
    }
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        line[strcspn(line, "\n")] = 0;
        printf("%s %s:%d: %s\n", section, path, number, line);
    }
    fclose(file);
}

static void one_line(const char *section, const char *path) {
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length < 0) {
        printf("%s %s: %s\n", section, path, strerror(errno));
    } else {
        text[length] = 0;
        text[strcspn(text, "\n")] = 0;
        printf("%s %s: %s\n", section, path, text);
    }
    if (fd >= 0) close(fd);
}

/* The fields of status and limits that an engine decides. */
static void identity(void) {
    static const char *wanted[] = {"Umask", "Uid", "Gid", "Groups", "NStgid", "NSpgid", "NSsid", "SigBlk", "SigIgn",
        "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
        "Cpus_allowed_list", "Mems_allowed_list", "THP_enabled", "CoreDumping"};
    char line[4096];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) {
            size_t length = strlen(wanted[i]);
            if (!strncmp(line, wanted[i], length) && line[length] == ':') printf("status %s:%s\n", wanted[i], line + length + 1);
        }
    }
    if (file) fclose(file);
    file = fopen("/proc/self/limits", "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        printf("limit %.25s: %s\n", line, line + 26);
    }
    if (file) fclose(file);
    one_line("self", "/proc/self/oom_score_adj");
    one_line("self", "/proc/self/timerslack_ns");
    one_line("self", "/proc/self/coredump_filter");
    one_line("self", "/proc/self/uid_map");
    one_line("self", "/proc/self/gid_map");
    one_line("self", "/proc/self/setgroups");
    one_line("self", "/proc/self/loginuid");
    lines_of("self", "/proc/self/cgroup");
    char cwd[4096];
    printf("self cwd: %s\n", getcwd(cwd, sizeof cwd) ? cwd : strerror(errno));
    printf("self personality: %lx\n", (unsigned long)personality(0xffffffff));
    int signal = -1;
    prctl(PR_GET_PDEATHSIG, &signal);
    printf("self death signal: %d\n", signal);
    printf("self dumpable: %d\n", prctl(PR_GET_DUMPABLE));
    printf("self subreaper: %d\n", prctl(PR_GET_CHILD_SUBREAPER, &signal) ? -1 : signal);
    printf("self keepcaps: %d\n", prctl(PR_GET_KEEPCAPS));
    printf("self securebits: %d\n", prctl(PR_GET_SECUREBITS));
    printf("self priority: %d\n", (int)syscall(SYS_getpriority, 0, 0));
    printf("self scheduler: %d\n", sched_getscheduler(0));
    for (int fd = 0; fd < 3; fd++) {
        struct stat about;
        char path[32], target[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
        target[strcspn(target, "[")] = 0;
        int known = !fstat(fd, &about);
        printf("descriptor %d: %s mode %o owner %d flags %x\n", fd, target, known ? about.st_mode : 0,
               known ? (int)about.st_uid : -1, fcntl(fd, F_GETFL));
    }
    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0) printf("descriptor %d: open\n", fd);
    for (char **variable = environ; *variable; variable++) {
        char *equals = strchr(*variable, '=');
        if (equals) printf("environment %.*s: %s\n", (int)(equals - *variable), *variable, equals + 1);
    }
}

static void mounts(void) {
    char line[4096], root[1024], point[1024], options[1024], rest[2048];
    FILE *file = fopen("/proc/self/mountinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%*s %*s %*s %1023s %1023s %1023s", root, point, options) != 3) continue;
        char *dash = strstr(line, " - ");
        snprintf(rest, sizeof rest, "%s", dash ? dash + 3 : "");
        char optional[512] = "";
        char *at = strstr(line, options);
        if (at && dash && at + strlen(options) < dash) {
            size_t length = dash - (at + strlen(options));
            snprintf(optional, sizeof optional, "%.*s", (int)length, at + strlen(options));
        }
        struct statfs about;
        printf("mount %s: %s |%s | %s | root %s\n", point, options, optional, rest, root);
        if (!statfs(point, &about)) printf("mount-size %s: %lu\n", point, (unsigned long)(about.f_blocks * about.f_bsize / 1024));
    }
    if (file) fclose(file);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What lies in a folder, and what can be done with it: type, mode, owner, device or target, writable or not. */
static void tree(const char *section, const char *folder, int depth) {
    DIR *dir = opendir(folder);
    if (!dir) {
        printf("%s %s: cannot be opened: %s\n", section, folder, strerror(errno));
        return;
    }
    char *names[8192];
    int count = 0;
    for (struct dirent *entry; count < 8192 && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) names[count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    for (int i = 0; i < count; i++) {
        char path[4096], more[512] = "";
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        struct stat about;
        if (lstat(path, &about)) {
            printf("%s %s: %s\n", section, path, strerror(errno));
            continue;
        }
        if (S_ISLNK(about.st_mode)) {
            ssize_t length = readlink(path, more, sizeof more - 1);
            more[length < 0 ? 0 : length] = 0;
        } else if (S_ISCHR(about.st_mode) || S_ISBLK(about.st_mode)) {
            snprintf(more, sizeof more, "device %u:%u", major(about.st_rdev), minor(about.st_rdev));
        }
        int writable = faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) ? errno : 0;
        printf("%s %s: mode %o owner %d:%d %s %s\n", section, path, about.st_mode, about.st_uid, about.st_gid, more,
               S_ISLNK(about.st_mode) ? "" : writable ? strerror(writable) : "writable");
        if (S_ISDIR(about.st_mode) && depth > 0) tree(section, path, depth - 1);
        free(names[i]);
    }
}

/* Whether the files of /proc that hold anything dangerous can be read and written at all. */
static void openable(const char *path) {
    int reading = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), read_error = errno;
    char byte;
    ssize_t got = reading < 0 ? -1 : read(reading, &byte, 1);
    int got_error = errno;
    if (reading >= 0) close(reading);
    int writing = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), write_error = errno;
    if (writing >= 0) close(writing);
    printf("openable %s: read %s, write %s\n", path,
           reading < 0 ? strerror(read_error) : got < 0 ? strerror(got_error) : got == 0 ? "empty" : "yes",
           writing < 0 ? strerror(write_error) : "yes");
}

static void in_child(const char *key, long (*ask)(long), long argument) {
    int pipes[2];
    fflush(stdout);
    if (pipe2(pipes, O_CLOEXEC)) return;
    pid_t child = (pid_t)syscall(SYS_fork);
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        setpgid(0, 0);
        int answers = dup2(pipes[1], 60);
        long result = ask(argument);
        int error = result < 0 && result > -4096 ? (int)-result : 0;
        if (write(answers, &error, sizeof error) < 0) _exit(1);
        _exit(0);
    }
    close(pipes[1]);
    int error, status = 0;
    /* A call that blocks is ended after a while; that it blocked is its answer. */
    for (int waited = 0; waited < 300; waited++) {
        if (waitpid(child, &status, WNOHANG) == child) goto ended;
        usleep(1000);
    }
    kill(-child, SIGKILL);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    printf("%s: blocks\n", key);
    close(pipes[0]);
    return;
ended:
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    if (read(pipes[0], &error, sizeof error) == sizeof error) printf("%s: %s\n", key, error ? strerrorname_np(error) : "done");
    else if (WIFSIGNALED(status)) printf("%s: signal %d\n", key, WTERMSIG(status));
    else printf("%s: exits\n", key);
    close(pipes[0]);
}

static long raw(long number) {
    /* Keeps the call itself from touching memory that matters: -1 is no address, descriptor, user or signal. */
    long result = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
    return result < 0 ? -errno : result;
}

static long make_socket(long family) {
    long fd = socket((int)family, SOCK_DGRAM, 0);
    if (fd < 0 && (errno == ESOCKTNOSUPPORT || errno == EPROTONOSUPPORT)) fd = socket((int)family, SOCK_STREAM, 0);
    return fd < 0 ? -errno : 0;
}

static long make_raw_socket(long family) {
    return socket((int)family, SOCK_RAW, 1) < 0 ? -errno : 0;
}

static long separate(long flags) {
    return unshare((int)flags) ? -errno : 0;
}

static long clone_with(long flags) {
    long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return child < 0 ? -errno : 0;
}

static long change_personality(long persona) {
    return personality((unsigned long)persona) < 0 ? -errno : 0;
}

static long mount_something(long unused) {
    (void)unused;
    return syscall(SYS_mount, "none", "/tmp", "tmpfs", 0L, 0L) < 0 ? -errno : 0;
}

static long set_hostname(long unused) {
    (void)unused;
    return sethostname("probe", 5) ? -errno : 0;
}

static long make_node(long device) {
    int result = mknod("/dev/probe", S_IFCHR | 0600, (dev_t)device);
    if (result) return -errno;
    int fd = open("/dev/probe", O_RDONLY | O_NONBLOCK);
    int error = fd < 0 ? errno : 0;
    unlink("/dev/probe");
    return -error;
}

static long terminal_input(long unused) {
    (void)unused;
    return syscall(SYS_ioctl, 0, 0x5412L /* TIOCSTI */, "x") < 0 ? -errno : 0;
}

#if defined(__x86_64__)
static long call_32(long number) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(-1L), "c"(-1L), "d"(-1L), "S"(-1L), "D"(-1L) : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}
#endif

static void calls(void) {
    char key[64];
    for (long number = 0; number < LAST_CALL; number++) {
        snprintf(key, sizeof key, "call %ld", number);
        in_child(key, raw, number);
    }
#if defined(__x86_64__)
    static const long old[] = {1, 20, 21, 26, 88, 102, 120, 165, 310, 319};
    for (unsigned i = 0; i < sizeof old / sizeof *old; i++) {
        snprintf(key, sizeof key, "call-32 %ld", old[i]);
        in_child(key, call_32, old[i]);
    }
    in_child("call-x32 39", raw, 39 | 0x40000000);
#endif
    for (long family = 0; family < 46; family++) {
        snprintf(key, sizeof key, "socket family %ld", family);
        in_child(key, make_socket, family);
    }
    in_child("socket raw", make_raw_socket, AF_INET);
    static const struct { const char *name; long flag; } spaces[] = {
        {"mnt", CLONE_NEWNS}, {"uts", CLONE_NEWUTS}, {"ipc", CLONE_NEWIPC}, {"user", CLONE_NEWUSER},
        {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET}, {"cgroup", CLONE_NEWCGROUP}, {"files", CLONE_FILES}};
    for (unsigned i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        snprintf(key, sizeof key, "unshare %s", spaces[i].name);
        in_child(key, separate, spaces[i].flag);
        snprintf(key, sizeof key, "clone %s", spaces[i].name);
        if (spaces[i].flag != CLONE_FILES) in_child(key, clone_with, spaces[i].flag);
    }
    static const long personas[] = {0, 8, 0x20000, 0x20008, 0x40000, 0x8000000, 0xffffffff};
    for (unsigned i = 0; i < sizeof personas / sizeof *personas; i++) {
        snprintf(key, sizeof key, "personality %lx", personas[i]);
        in_child(key, change_personality, personas[i]);
    }
    in_child("mount tmpfs", mount_something, 0);
    in_child("sethostname", set_hostname, 0);
    in_child("ioctl TIOCSTI", terminal_input, 0);
    static const struct { const char *name; int major, minor; } nodes[] = {
        {"null", 1, 3}, {"mem", 1, 1}, {"kmsg", 1, 11}, {"tty0", 4, 0}, {"tty", 5, 0}, {"ptmx", 5, 2}, {"fuse", 10, 229},
        {"tun", 10, 200}, {"rtc", 252, 0}, {"kvm", 10, 232}};
    for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        snprintf(key, sizeof key, "device %s", nodes[i].name);
        in_child(key, make_node, (long)makedev(nodes[i].major, nodes[i].minor));
    }
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);
    identity();
    mounts();
    tree("dev", "/dev", 2);
    tree("proc", "/proc/sys", 6);
    tree("sys", "/sys", 2);
    tree("etc", "/etc", 0);
    static const char *dangerous[] = {"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/asound",
        "/proc/acpi", "/proc/scsi", "/proc/interrupts", "/proc/sched_debug", "/proc/sysrq-trigger", "/proc/kmsg",
        "/proc/irq", "/proc/bus", "/proc/fs", "/proc/mtrr", "/proc/sys/kernel/core_pattern", "/proc/config.gz",
        "/proc/sys/vm/drop_caches", "/proc/self/oom_score_adj", "/proc/1/environ", "/sys/firmware", "/sys/kernel/uevent_helper",
        "/sys/devices/virtual/powercap", "/dev/kmsg", "/dev/console", "/dev/tty", "/proc/kallsyms", "/proc/timer_stats",
        "/proc/pressure/cpu", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/tasks", "/sys/fs/cgroup"};
    for (unsigned i = 0; i < sizeof dangerous / sizeof *dangerous; i++) openable(dangerous[i]);
    static const char *values[] = {"/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/ipv4/ping_group_range",
        "/proc/sys/kernel/shmmax", "/proc/sys/fs/mqueue/msg_max", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/domainname",
        "/proc/sys/net/ipv6/conf/all/disable_ipv6", "/proc/sys/net/ipv6/conf/lo/disable_ipv6"};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) one_line("value", values[i]);
    lines_of("file", "/etc/hosts");
    lines_of("file", "/etc/resolv.conf");
    one_line("file", "/etc/hostname");
    one_line("file", "/etc/mtab");
    lines_of("file", "/proc/net/dev");
    for (int i = 1; i < argc; i++) if (!strcmp(argv[i], "calls")) calls();
    return 0;
}
