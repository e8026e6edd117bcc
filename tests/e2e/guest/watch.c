// Prints what inotify tells of a directory, a line each, until it is killed: what programs that reload do.
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

static const struct { unsigned bit; const char *name; } names[] = {
    {IN_CREATE, "CREATE"}, {IN_MODIFY, "MODIFY"}, {IN_DELETE, "DELETE"}, {IN_MOVED_FROM, "MOVED_FROM"},
    {IN_MOVED_TO, "MOVED_TO"}, {IN_ATTRIB, "ATTRIB"}, {IN_CLOSE_WRITE, "CLOSE_WRITE"},
};

int main(int count, char **words) {
    char buffer[65536] __attribute__((aligned(8)));
    int fd = inotify_init1(0);
    if (count < 2 || inotify_add_watch(fd, words[1], IN_ALL_EVENTS) < 0) { perror("watch"); return 1; }
    puts("watching");
    fflush(stdout);
    for (;;) {
        ssize_t size = read(fd, buffer, sizeof buffer);
        if (size <= 0) return 1;
        for (char *at = buffer; at < buffer + size;) {
            struct inotify_event *event = (void *)at;
            for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
                if (event->mask & names[i].bit) printf("%s %s\n", names[i].name, event->len ? event->name : "");
            at += sizeof *event + event->len;
        }
        fflush(stdout);
    }
}
