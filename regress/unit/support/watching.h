// Watches of directories as tests make them: what they were told, in words.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_WATCHING_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_WATCHING_H

#include <functional>
#include <string>
#include <vector>

#include "support/bases.h"

#include "event2/iocp_directory.h"

namespace iocp {

struct watching {
    struct evdirwatch *watch;
    std::vector<std::string> told; // "+a", "-a", "*a", "a>b", "overflow", "deleted 5", "error 8"
    int calls;
    bool over;
    std::function<void()> when_called; // after it was noted
    std::function<void(const struct evdirchange &)> when_changed;
};

// A name of a rename without the other one is complained of, as is a call after the end.
void watching_called(struct evdirwatch *watch, const struct evdirchange *changes, int count, int what, void *argument);
bool watch_directory(watching *self, struct event_base *base, const char *path, int flags = 0);
// What it was told since it was asked last, with blanks in between.
std::string all_told(watching *self);

// One base, a directory "d" and a file "file", and a watch.
namespace one_directory {

extern struct event_base *base;
extern watching w;

int set_up(void **);
int tear_down(void **);
// What was told in so many turns that looked at the port.
std::string told_by_turns(int turns = 3);
// The loop runs for so long.
void run_for(int ms);
// A call from here on is complained of.
void free_watch();

#define ONE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

} // namespace one_directory

} // namespace iocp

#endif
