// Bufferevents over files on the fake kernel, by random steps: packets are late and overtake each other, cancels lose,
// transfers are short, starts fail, a handle is replaced by another, or used by one bufferevent after the other. Whatever
// the order, bytes arrive complete and in order, an end comes once and after the bytes, and everything is given back.
//
// usage: unit-handle_orders [seeds [first]]
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_file.h"
#include "support/strict_locks.h"

#include "backend/backend.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

constexpr int max_settling_turns = 4000;
constexpr int steps = 120;
constexpr sys::transport kinds[] = {sys::transport::pipe, sys::transport::messages, sys::transport::device};

uint64_t first_seed = 1;
uint64_t seed_count = 1500;
uint64_t seed;
struct event_base *base;

// One bufferevent and its present file. What the files before it took is `delivered`.
struct user {
    struct bufferevent *bev;
    HANDLE file;
    bool closes;
    bool peer_done;
    std::string peer_wrote;
    std::string heard;
    std::string written;
    std::string delivered;
    int ends;
    int errors;
};

void on_read(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<user *>(argument);
    char bytes[700];
    size_t most = fake::happens(700) ? SIZE_MAX : 1 + fake::random() % 300;
    while (most > 0) {
        size_t got = bufferevent_read(bev, bytes, sizeof(bytes) < most ? sizeof(bytes) : most);
        if (got == 0)
            break;
        self->heard.append(bytes, got);
        most -= got;
    }
}

void on_event(struct bufferevent *bev, short what, void *argument)
{
    auto *self = static_cast<user *>(argument);
    self->ends += (what & BEV_EVENT_EOF) != 0 ? 1 : 0;
    self->errors += (what & BEV_EVENT_ERROR) != 0 ? 1 : 0;
    on_read(bev, argument);
}

std::string some_bytes(size_t most)
{
    std::string bytes(1 + fake::random() % most, ' ');
    for (char &byte : bytes)
        byte = static_cast<char>(fake::random());
    return bytes;
}

HANDLE some_file()
{
    return fake::open_file(kinds[fake::random() % 3]);
}

void open_bufferevent(user *self)
{
    int options = self->closes ? int{BEV_OPT_CLOSE_ON_FREE} : 0;
    if (fake::happens(300))
        options |= BEV_OPT_DEFER_CALLBACKS;
    // Without memory it is refused, and may be tried again.
    self->bev = nullptr;
    for (int tries = 0; tries < 20 && self->bev == nullptr; ++tries)
        self->bev = bufferevent_iocp_handle_new(base, self->file, options);
    assert_non_null(self->bev);
    bufferevent_setcb(self->bev, on_read, nullptr, on_event, self);
    bufferevent_enable(self->bev, EV_READ | EV_WRITE);
}

void open_user(user *self)
{
    *self = user();
    self->file = some_file();
    self->closes = fake::happens(600);
    open_bufferevent(self);
}

// Its program has the file back, and lets what is in flight go to its end.
void take_back(user *self, HANDLE file)
{
    fake::set_file_room(file, SIZE_MAX);
    self->delivered += fake::file_peer_reads(file);
    fake::close_file_by_program(file);
}

void free_user(user *self)
{
    HANDLE file = self->file;
    bufferevent_free(self->bev);
    self->bev = nullptr;
    if (!self->closes)
        take_back(self, file);
}

void replace_file(user *self)
{
    HANDLE old = self->file;
    self->file = some_file();
    if (fake::happens(500))
        bufferevent_setfd(self->bev, -1);
    assert_int_equal(bufferevent_setfd(self->bev, reinterpret_cast<evutil_socket_t>(self->file)), 0);
    take_back(self, old);
    self->peer_wrote.clear();
    self->heard.clear();
    struct evbuffer *input = bufferevent_get_input(self->bev);
    evbuffer_drain(input, evbuffer_get_length(input));
    self->peer_done = false;
    self->ends = 0;
}

// Another bufferevent has the same file next: what had reached neither the first one's input is for it.
void replace_bufferevent(user *self)
{
    struct evbuffer *input = bufferevent_get_input(self->bev), *output = bufferevent_get_output(self->bev);
    size_t before = self->heard.size(), unread = evbuffer_get_length(input);
    self->heard.resize(before + unread);
    evbuffer_remove(input, &self->heard[before], unread);
    size_t unsent = evbuffer_get_length(output);
    self->written.resize(self->written.size() - unsent);
    bufferevent_setfd(self->bev, -1);
    bufferevent_free(self->bev);
    self->closes = fake::happens(600);
    open_bufferevent(self);
}

void peer_step(user *self)
{
    switch (fake::random() % 8) {
    case 0:
    case 1:
    case 2:
        if (!self->peer_done) {
            std::string bytes = fake::happens(50) ? std::string() : some_bytes(5000);
            self->peer_wrote += bytes;
            fake::file_peer_writes(self->file, bytes);
        }
        break;
    case 3:
        fake::set_file_room(self->file, fake::random() % 3000);
        break;
    case 4:
        fake::file_peer_reads(self->file);
        break;
    default:
        break;
    }
}

void program_step(user *self, bool replaces)
{
    switch (fake::random() % 10) {
    case 0:
    case 1:
    case 2: {
        std::string bytes = some_bytes(3000);
        self->written += bytes;
        bufferevent_write(self->bev, bytes.data(), bytes.size());
        break;
    }
    case 3:
        bufferevent_disable(self->bev, EV_READ);
        break;
    case 4:
        bufferevent_enable(self->bev, EV_READ);
        break;
    case 5:
        bufferevent_disable(self->bev, EV_WRITE);
        break;
    case 6:
        bufferevent_enable(self->bev, EV_WRITE);
        break;
    case 7:
        bufferevent_setwatermark(self->bev, EV_READ, 0, fake::happens(500) ? 0 : 1 + fake::random() % 2000);
        break;
    case 8:
        if (replaces && fake::happens(150))
            replace_file(self);
        break;
    default:
        if (replaces && fake::happens(150))
            replace_bufferevent(self);
        break;
    }
}

bool is_settled(user *self)
{
    return self->heard == self->peer_wrote && self->delivered + fake::file_peer_reads(self->file) == self->written &&
           (!self->peer_done || self->ends == 1);
}

void settle(user *self, bool ends)
{
    fake::set_file_room(self->file, SIZE_MAX);
    bufferevent_setwatermark(self->bev, EV_READ, 0, 0);
    bufferevent_enable(self->bev, EV_READ | EV_WRITE);
    for (int turns = 0; turns < max_settling_turns && !is_settled(self); ++turns) {
        fake::advance_us(1000);
        turn(base);
        on_read(self->bev, self);
    }
    if (ends && is_settled(self)) {
        self->peer_done = true;
        fake::file_peer_closes(self->file);
        settle(self, false);
        return;
    }
    if (!is_settled(self) || self->errors != 0)
        fail_msg("seed %u: read %u of %u bytes, sent %u of %u, %d ends, %d errors", static_cast<unsigned>(seed),
                 static_cast<unsigned>(self->heard.size()), static_cast<unsigned>(self->peer_wrote.size()),
                 static_cast<unsigned>(self->delivered.size() + fake::file_peer_reads(self->file).size()),
                 static_cast<unsigned>(self->written.size()), self->ends, self->errors);
}

void check_prefixes(const user &self)
{
    if (self.peer_wrote.compare(0, self.heard.size(), self.heard) != 0)
        fail_msg("seed %u: bytes were read that were not written so", static_cast<unsigned>(seed));
}

void run_seed(bool replaces, const fake::chances &odds)
{
    constexpr int users = 3;
    fake::boot(seed, odds);
    base = make_base(on_iocp);
    user all[users];
    for (user &one : all)
        open_user(&one);
    for (int step = 0; step < steps; ++step) {
        user *one = &all[fake::random() % users];
        peer_step(one);
        program_step(one, replaces);
        if (fake::happens(500)) {
            fake::advance_us(200);
            turn(base);
        }
        check_prefixes(*one);
    }
    // One is freed as it is, the others get everything first.
    free_user(&all[0]);
    for (int i = 1; i < users; ++i) {
        settle(&all[i], i == 1);
        free_user(&all[i]);
    }
    event_base_free(base);
    if (fake::complaint_after_free() != nullptr)
        fail_msg("%s, seed %u", fake::complaint(), static_cast<unsigned>(seed));
}

void run_all(bool replaces, const fake::chances &odds)
{
    for (seed = first_seed; seed < first_seed + seed_count; ++seed)
        run_seed(replaces, odds);
}

void bytes_arrive_complete_and_in_order(void **)
{
    run_all(false, fake::all_chances);
}

void others_take_over_while_bytes_are_in_flight(void **)
{
    run_all(true, fake::all_chances);
}

} // namespace

int main(int count, char **arguments)
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bytes_arrive_complete_and_in_order, set_up_kernel),
        cmocka_unit_test_setup(others_take_over_while_bytes_are_in_flight, set_up_kernel),
    };
    if (count > 1)
        seed_count = strtoull(arguments[1], nullptr, 10);
    if (count > 2)
        first_seed = strtoull(arguments[2], nullptr, 10);
    return cmocka_run_group_tests_name("handle_orders", tests, nullptr, nullptr);
}
