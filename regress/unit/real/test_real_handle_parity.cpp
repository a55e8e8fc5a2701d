// Random scripts of two bufferevents that are each other's peers: over a named pipe on the port, and over a pair of sockets
// on select. After each step both come to rest, and what can be seen of them then must be the same.
//
// usage: unit-real_handle_parity [count [first seed]]
#include "real/pipe_pair.h"

using namespace real;

namespace {

constexpr int steps = 40;
constexpr size_t most_on_the_way =
    30000; // what a pipe's quota and a socket's buffers hold: no output waits for a reader
constexpr ULONGLONG rest_limit_ms = deadline_seconds * 1000;
constexpr int turns_at_rest = 3; // in which a thing that must not happen could

unsigned count = 120;
unsigned first_seed = 1;

struct end {
    struct bufferevent *bev;
    end *peer;
    bool takes; // what comes, in its read callback; else it is left in the input
    size_t written;
    size_t heard;
    unsigned hash; // of what was heard
    bool told_to_read;
    bool told_to_write;
    std::string events;
};

struct pair_of_ends {
    end ends[2];
    unsigned random;
    std::string trace;
    bool over;
};

unsigned next(pair_of_ends *self, unsigned below)
{
    self->random = self->random * 1664525u + 1013904223u;
    return (self->random >> 8) % below;
}

size_t input_of(const end &of)
{
    return evbuffer_get_length(bufferevent_get_input(of.bev));
}

size_t output_of(const end &of)
{
    return evbuffer_get_length(bufferevent_get_output(of.bev));
}

bool reads(const end &of)
{
    return (bufferevent_get_enabled(of.bev) & EV_READ) != 0;
}

void take(end *self, size_t most)
{
    unsigned char bytes[1024];
    while (most > 0) {
        size_t got = bufferevent_read(self->bev, bytes, most < sizeof(bytes) ? most : sizeof(bytes));
        if (got == 0)
            return;
        for (size_t i = 0; i < got; ++i)
            self->hash = (self->hash ^ bytes[i]) * 16777619u;
        self->heard += got;
        most -= got;
    }
}

void on_read(struct bufferevent *, void *argument)
{
    auto *self = static_cast<end *>(argument);
    self->told_to_read = true;
    if (self->takes)
        take(self, SIZE_MAX);
}

void on_write(struct bufferevent *, void *argument)
{
    static_cast<end *>(argument)->told_to_write = true;
}

void on_event(struct bufferevent *, short what, void *argument)
{
    auto *self = static_cast<end *>(argument);
    self->events += " " + std::to_string(what);
}

// What has left the one end has come to the other, or is held back by what that has asked for.
bool is_at_rest(const end &self)
{
    if (self.bev == nullptr || self.peer->bev == nullptr)
        return self.bev == nullptr || !self.events.empty();
    bool writes = (bufferevent_get_enabled(self.bev) & EV_WRITE) != 0;
    if (writes && output_of(self) > 0)
        return false;
    size_t sent = self.written - output_of(self);
    const end &to = *self.peer;
    return !reads(to) || to.heard + input_of(to) == sent;
}

void come_to_rest(pair_of_ends *self)
{
    ULONGLONG limit = GetTickCount64() + rest_limit_ms;
    bool in_time = true;
    while (in_time && !(is_at_rest(self->ends[0]) && is_at_rest(self->ends[1]))) {
        turns(1);
        in_time = GetTickCount64() < limit;
    }
    turns(turns_at_rest);
    self->trace += in_time ? "\n" : " never at rest\n";
}

void describe(pair_of_ends *self)
{
    for (end &one : self->ends) {
        char text[200];
        if (one.bev == nullptr)
            continue;
        snprintf(text, sizeof(text), "  %d: enabled %d input %u output %u heard %u %08x%s%s;%s\n", &one != self->ends,
                 bufferevent_get_enabled(one.bev), static_cast<unsigned>(input_of(one)),
                 static_cast<unsigned>(output_of(one)), static_cast<unsigned>(one.heard), one.hash,
                 one.told_to_read ? " reads" : "", one.told_to_write ? " writes" : "", one.events.c_str());
        self->trace += text;
        one.told_to_read = one.told_to_write = false;
        one.events.clear();
    }
}

void write_some(pair_of_ends *self, end *one)
{
    size_t on_the_way = one->written - one->peer->heard;
    size_t length = 1 + next(self, 6000);
    if (on_the_way + length > most_on_the_way)
        return;
    std::string bytes = pattern(length, next(self, 1000));
    one->written += length;
    bufferevent_write(one->bev, bytes.data(), bytes.size());
}

void set_marks(pair_of_ends *self, end *one)
{
    take(one, SIZE_MAX);
    one->takes = next(self, 2) == 0;
    size_t low = one->takes ? 0 : next(self, 500);
    // (Who leaves an input at its high mark is called back without end, by libevent.)
    size_t high = one->takes && next(self, 2) == 0 ? 500 + next(self, 2000) : 0;
    bufferevent_setwatermark(one->bev, EV_READ, low, high);
}

// One that has read all goes, and its peer is told of the end after the last bytes.
void go(pair_of_ends *self, end *one)
{
    end *to = one->peer;
    if (to->written != one->heard + input_of(*one) || output_of(*one) != 0)
        return;
    to->takes = true;
    bufferevent_setwatermark(to->bev, EV_READ, 0, 0);
    bufferevent_enable(to->bev, EV_READ);
    bufferevent_free(one->bev);
    one->bev = nullptr;
    self->over = true;
}

void step(pair_of_ends *self)
{
    end *one = &self->ends[next(self, 2)];
    unsigned which = next(self, 20);
    self->trace += "step " + std::to_string(which) + (one == self->ends ? " of the first" : " of the second");
    if (which < 8)
        write_some(self, one);
    else if (which < 10)
        bufferevent_disable(one->bev, next(self, 2) == 0 ? EV_READ : EV_WRITE);
    else if (which < 14)
        bufferevent_enable(one->bev, EV_READ | EV_WRITE);
    else if (which < 16)
        set_marks(self, one);
    else if (which < 18)
        take(one, next(self, 3000));
    else if (next(self, 3) == 0)
        go(self, one);
    come_to_rest(self);
    describe(self);
}

void open_end(end *one, end *peer, struct bufferevent *bev)
{
    *one = end();
    assert_non_null(bev);
    one->bev = bev;
    one->peer = peer;
    one->takes = true;
    one->hash = 2166136261u;
    bufferevent_setcb(bev, on_read, on_write, on_event, one);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

std::string run_script(pair_of_ends *self, unsigned seed)
{
    self->random = seed * 2654435761u + 12345;
    for (int i = 0; i < steps && !self->over; ++i)
        step(self);
    for (end &one : self->ends)
        if (one.bev != nullptr)
            bufferevent_free(one.bev);
    turns(5);
    return self->trace;
}

int options_of(unsigned seed)
{
    return BEV_OPT_CLOSE_ON_FREE | (seed % 3 == 0 ? int{BEV_OPT_DEFER_CALLBACKS} : 0);
}

std::string by_pipe(unsigned seed)
{
    pair_of_ends both = {};
    assert_int_equal(set_up(nullptr), 0);
    DWORD mode = seed % 2 == 0 ? PIPE_TYPE_BYTE : PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE;
    pipe_ends pipe = make_pipe(mode);
    HANDLE handles[] = {pipe.server, pipe.client};
    for (int i = 0; i < 2; ++i)
        open_end(&both.ends[i], &both.ends[1 - i], bufferevent_iocp_handle_new(base, handles[i], options_of(seed)));
    std::string trace = run_script(&both, seed);
    assert_true(gets_closed(pipe.server) && gets_closed(pipe.client));
    event_base_free(base);
    return trace;
}

std::string by_sockets(unsigned seed)
{
    pair_of_ends both = {};
    evutil_socket_t sockets[2];
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    base = event_base_new_with_config(config);
    event_config_free(config);
    assert_string_equal(event_base_get_method(base), "win32");
    make_pair(sockets);
    for (int i = 0; i < 2; ++i)
        open_end(&both.ends[i], &both.ends[1 - i], bufferevent_socket_new(base, sockets[i], options_of(seed)));
    std::string trace = run_script(&both, seed);
    event_base_free(base);
    return trace;
}

// From the line before the first difference on.
std::string from_difference(const std::string &shown, const std::string &other)
{
    size_t at = 0;
    while (at < shown.size() && at < other.size() && shown[at] == other[at])
        ++at;
    size_t begin = shown.rfind("step", at);
    begin = begin != std::string::npos && begin > 0 ? shown.rfind("step", begin - 1) : std::string::npos;
    return shown.substr(begin != std::string::npos ? begin : 0, 500);
}

void the_same_is_seen(void **)
{
    for (unsigned seed = first_seed; seed < first_seed + count; ++seed) {
        std::string expected = by_sockets(seed), seen = by_pipe(seed);
        if (expected == seen)
            continue;
        print_error("on select:\n%s\nby a pipe:\n%s\n", from_difference(expected, seen).c_str(),
                    from_difference(seen, expected).c_str());
        fail_msg("seed %u differs", seed);
    }
}

} // namespace

int main(int arguments, char **values)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_same_is_seen)};
    if (arguments > 1)
        count = static_cast<unsigned>(strtoul(values[1], nullptr, 10));
    if (arguments > 2)
        first_seed = static_cast<unsigned>(strtoul(values[2], nullptr, 10));
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
