#include "support/watching.h"
#include "support/check.h"

namespace iocp {

namespace {

// How many of them it has taken.
int note_change(watching *self, const struct evdirchange *changes, int left)
{
    std::string path = changes[0].path;
    switch (changes[0].action) {
    case EVDIRCHANGE_ADDED:
        self->told.push_back("+" + path);
        return 1;
    case EVDIRCHANGE_REMOVED:
        self->told.push_back("-" + path);
        return 1;
    case EVDIRCHANGE_MODIFIED:
        self->told.push_back("*" + path);
        return 1;
    default:
        break;
    }
    if (left < 2 || changes[0].action != EVDIRCHANGE_RENAMED_OLD || changes[1].action != EVDIRCHANGE_RENAMED_NEW) {
        fake::complain("a name of a rename is told without the other");
        return left;
    }
    self->told.push_back(path + ">" + changes[1].path);
    return 2;
}

} // namespace

void watching_called(struct evdirwatch *watch, const struct evdirchange *changes, int count, int what, void *argument)
{
    int error = EVUTIL_SOCKET_ERROR();
    auto *self = static_cast<watching *>(argument);
    if (watch != self->watch || self->over || (count == 0 && what == 0))
        fake::complain("a watch calls that is over, or says nothing");
    ++self->calls;
    for (int i = 0; i < count; ++i)
        if (self->when_changed)
            self->when_changed(changes[i]);
    for (int i = 0; i < count;)
        i += note_change(self, &changes[i], count - i);
    if ((what & EVDIRWATCH_OVERFLOW) != 0)
        self->told.push_back("overflow");
    if ((what & EVDIRWATCH_DELETED) != 0)
        self->told.push_back("deleted " + std::to_string(error));
    if ((what & EVDIRWATCH_ERROR) != 0)
        self->told.push_back("error " + std::to_string(error));
    self->over = (what & (EVDIRWATCH_DELETED | EVDIRWATCH_ERROR)) != 0;
    if (self->when_called)
        self->when_called();
}

bool watch_directory(watching *self, struct event_base *base, const char *path, int flags)
{
    self->calls = 0;
    self->over = false;
    self->watch = evdirwatch_iocp_new(base, path, flags, watching_called, self);
    return self->watch != nullptr;
}

std::string all_told(watching *self)
{
    std::string all;
    for (const std::string &one : self->told)
        all += (all.empty() ? "" : " ") + one;
    self->told.clear();
    return all;
}

namespace one_directory {

struct event_base *base;
watching w;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    w = {};
    base = make_base(on_iocp);
    fake::make_directory(L"d");
    fake::make_file(L"file");
    return 0;
}

int tear_down(void **)
{
    if (base != nullptr)
        event_base_free(base);
    base = nullptr;
    assert_int_equal(fake::directories_open(), 0);
    assert_null(fake::complaint_after_free());
    assert_int_equal(warnings().size(), 0);
    return 0;
}

std::string told_by_turns(int turns)
{
    for (int i = 0; i < turns; ++i)
        turn_to_port(base);
    return all_told(&w);
}

void run_for(int ms)
{
    struct timeval limit = {ms / 1000, ms % 1000 * 1000};
    event_base_loopexit(base, &limit);
    event_base_dispatch(base);
}

void free_watch()
{
    evdirwatch_iocp_free(w.watch);
    w.over = true; // a call from here on is complained of
}

} // namespace one_directory

} // namespace iocp
