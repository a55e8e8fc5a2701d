// Bufferevents on the fake kernel: libevent's own code on top of our streams, while packets are late, overtake each
// other, are lost to a cancel or not, transfers are short and starts fail. Whatever the order, bytes arrive complete
// and in order, an end comes once and after the bytes, and everything is given back.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

constexpr int max_settling_turns = 4000;

// One connection: our end is a bufferevent, the peer is the fake kernel's.
struct connection {
    struct bufferevent *bev;
    SOCKET socket;
    std::string peer_sent; // on the present socket
    std::string read;      // of it
    std::string written;   // into the bufferevent, ever
    std::string delivered; // to sockets that it had before
    bool peer_done;
    bool peer_reset;
    int ends;
    int errors;
    short last_event;
};

void on_read(struct bufferevent *bev, void *argument)
{
    auto *one = static_cast<connection *>(argument);
    char bytes[512];
    // Sometimes all, sometimes a part.
    size_t most = fake::happens(700) ? SIZE_MAX : 1 + fake::random() % 300;
    while (most > 0) {
        size_t got = bufferevent_read(bev, bytes, sizeof(bytes) < most ? sizeof(bytes) : most);
        if (got == 0)
            break;
        one->read.append(bytes, got);
        most -= got;
    }
}

void on_event(struct bufferevent *bev, short what, void *argument)
{
    auto *one = static_cast<connection *>(argument);
    one->last_event = what;
    if ((what & BEV_EVENT_EOF) != 0)
        ++one->ends;
    if ((what & BEV_EVENT_ERROR) != 0)
        ++one->errors;
    on_read(bev, argument);
}

std::string some_bytes(size_t most)
{
    std::string bytes(1 + fake::random() % most, ' ');
    for (char &byte : bytes)
        byte = static_cast<char>(fake::random());
    return bytes;
}

SOCKET connected_socket()
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    return socket;
}

void open_connection(connection *one, struct event_base *base)
{
    *one = connection();
    one->socket = connected_socket();
    int options = fake::happens(700) ? int{BEV_OPT_CLOSE_ON_FREE} : 0;
    if (fake::happens(300))
        options |= BEV_OPT_DEFER_CALLBACKS;
    one->bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(one->socket), options);
    bufferevent_setcb(one->bev, on_read, nullptr, on_event, one);
    bufferevent_enable(one->bev, EV_READ | EV_WRITE);
}

void free_connection(connection *one)
{
    if (one->bev == nullptr)
        return;
    bool closes = (BEV_UPCAST(one->bev)->options & BEV_OPT_CLOSE_ON_FREE) != 0;
    bufferevent_free(one->bev);
    one->bev = nullptr;
    if (!closes)
        fake::close_by_program(one->socket);
}

// Another socket in place of the present one. What the old one took stays taken, and the rest goes to the new one.
void replace_socket(connection *one)
{
    SOCKET old = one->socket;
    one->socket = connected_socket();
    if (fake::happens(500))
        bufferevent_setfd(one->bev, -1);
    bufferevent_setfd(one->bev, static_cast<evutil_socket_t>(one->socket));
    fake::set_send_room(old, SIZE_MAX); // what is in flight goes on
    one->delivered += fake::sent(old);
    evutil_closesocket(static_cast<evutil_socket_t>(old));
    one->peer_sent.clear();
    one->read.clear();
    struct evbuffer *input = bufferevent_get_input(one->bev);
    evbuffer_drain(input, evbuffer_get_length(input));
    one->peer_done = false;
    one->ends = 0;
}

void peer_step(connection *one)
{
    switch (fake::random() % 8) {
    case 0:
    case 1:
    case 2:
        if (!one->peer_done && !one->peer_reset) {
            std::string bytes = some_bytes(5000);
            one->peer_sent += bytes;
            fake::peer_sends(one->socket, bytes);
        }
        break;
    case 3:
        fake::set_send_room(one->socket, 0);
        break;
    case 4:
        fake::set_send_room(one->socket, SIZE_MAX);
        break;
    case 5:
        if (fake::happens(50)) {
            one->peer_done = true;
            fake::peer_finishes(one->socket);
        }
        break;
    default:
        break;
    }
}

void program_step(connection *one, bool replaces)
{
    switch (fake::random() % 10) {
    case 0:
    case 1:
    case 2: {
        std::string bytes = some_bytes(3000);
        one->written += bytes;
        bufferevent_write(one->bev, bytes.data(), bytes.size());
        break;
    }
    case 3:
        bufferevent_disable(one->bev, EV_READ);
        break;
    case 4:
        if (one->ends == 0) // to read on after the end is to be told of it again, on select as well
            bufferevent_enable(one->bev, EV_READ);
        break;
    case 5:
        bufferevent_disable(one->bev, EV_WRITE);
        break;
    case 6:
        bufferevent_enable(one->bev, EV_WRITE);
        break;
    case 7:
        bufferevent_setwatermark(one->bev, EV_READ, 0, fake::happens(500) ? 0 : 1 + fake::random() % 2000);
        break;
    case 8:
        if (replaces && fake::happens(200) && !one->peer_done)
            replace_socket(one);
        break;
    default:
        break;
    }
}

bool is_settled(const connection &one)
{
    return one.read == one.peer_sent && one.delivered + fake::sent(one.socket) == one.written &&
           (!one.peer_done || one.ends == 1);
}

// Lets everything through and waits until nothing moves.
void settle(struct event_base *base, connection *one, uint64_t seed)
{
    fake::set_send_room(one->socket, SIZE_MAX);
    bufferevent_setwatermark(one->bev, EV_READ, 0, 0);
    if (one->ends == 0)
        bufferevent_enable(one->bev, EV_READ);
    bufferevent_enable(one->bev, EV_WRITE);
    for (int turns = 0; turns < max_settling_turns && !is_settled(*one); ++turns) {
        fake::advance_us(1000);
        turn(base);
        on_read(one->bev, one);
    }
    if (!is_settled(*one))
        fail_msg("seed %u: read %u of %u bytes, sent %u of %u, %d ends, done %d", static_cast<unsigned>(seed),
                 static_cast<unsigned>(one->read.size()), static_cast<unsigned>(one->peer_sent.size()),
                 static_cast<unsigned>(one->delivered.size() + fake::sent(one->socket).size()),
                 static_cast<unsigned>(one->written.size()), one->ends, one->peer_done);
    if (one->errors != 0)
        fail_msg("seed %u: %d errors, the last %#x", static_cast<unsigned>(seed), one->errors, one->last_event);
}

void check_prefixes(const connection &one, uint64_t seed)
{
    if (one.peer_sent.compare(0, one.read.size(), one.read) != 0)
        fail_msg("seed %u: bytes were read that were not sent so", static_cast<unsigned>(seed));
    std::string out = one.delivered + fake::sent(one.socket);
    if (one.written.compare(0, out.size(), out) != 0)
        fail_msg("seed %u: bytes were sent that were not written so", static_cast<unsigned>(seed));
}

void run_seed(uint64_t seed, bool replaces, const fake::chances &odds)
{
    constexpr int connections = 3;
    fake::boot(seed, odds);
    struct event_base *base = make_base(on_iocp);
    connection all[connections];
    for (connection &one : all)
        open_connection(&one, base);
    for (int step = 0; step < 150; ++step) {
        connection *one = &all[fake::random() % connections];
        peer_step(one);
        program_step(one, replaces);
        if (fake::happens(500)) {
            fake::advance_us(200);
            turn(base);
        }
        check_prefixes(*one, seed);
    }
    if (replaces && fake::happens(500)) { // it keeps its output, and is freed without a descriptor
        bufferevent_setfd(all[0].bev, -1);
        fake::close_by_program(all[0].socket);
        bufferevent_free(all[0].bev);
        all[0].bev = nullptr;
    }
    // One is freed as it is, the others get everything first.
    free_connection(&all[0]);
    for (int i = 1; i < connections; ++i) {
        settle(base, &all[i], seed);
        free_connection(&all[i]);
    }
    event_base_free(base);
    if (fake::complaint_after_free() != nullptr)
        fail_msg("%s, seed %u", fake::complaint(), static_cast<unsigned>(seed));
}

void bytes_arrive_complete_and_in_order(void **)
{
    for (uint64_t seed = 1; seed <= 1500; ++seed)
        run_seed(seed, false, fake::all_chances);
}

void another_socket_while_bytes_are_in_flight(void **)
{
    for (uint64_t seed = 1; seed <= 1500; ++seed)
        run_seed(seed, true, fake::all_chances);
}

// Memory is not short, which would end the connection.
void sends_that_end_early(void **)
{
    fake::chances odds = fake::all_chances;
    odds.sends_end_early = 400;
    odds.shortage = 0;
    for (uint64_t seed = 1; seed <= 1000; ++seed)
        run_seed(seed, false, odds);
}

// The peer resets at any moment: one error, with its code, and never more bytes than were sent.
void resets(void **)
{
    for (uint64_t seed = 1; seed <= 1500; ++seed) {
        fake::boot(seed, fake::all_chances);
        struct event_base *base = make_base(on_iocp);
        connection one;
        open_connection(&one, base);
        int reset_at = static_cast<int>(fake::random() % 40);
        for (int step = 0; step < 60; ++step) {
            if (step == reset_at) {
                one.peer_reset = true;
                fake::peer_resets(one.socket);
            }
            peer_step(&one);
            if (one.errors == 0 && one.ends == 0)
                program_step(&one, false);
            fake::advance_us(200);
            turn(base);
        }
        bufferevent_setwatermark(one.bev, EV_READ, 0, 0);
        for (int turns = 0; turns < max_settling_turns && one.errors == 0 && one.ends == 0; ++turns) {
            bufferevent_enable(one.bev, EV_READ | EV_WRITE);
            fake::advance_us(1000);
            turn(base);
        }
        if (one.errors == 0 && one.ends == 0)
            fail_msg("seed %u: nothing was said of the reset", static_cast<unsigned>(seed));
        free_connection(&one);
        event_base_free(base);
        if (fake::complaint_after_free() != nullptr)
            fail_msg("%s, seed %u", fake::complaint(), static_cast<unsigned>(seed));
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bytes_arrive_complete_and_in_order, set_up_kernel),
        cmocka_unit_test_setup(another_socket_while_bytes_are_in_flight, set_up_kernel),
        cmocka_unit_test_setup(sends_that_end_early, set_up_kernel),
        cmocka_unit_test_setup(resets, set_up_kernel),
    };
    return cmocka_run_group_tests_name("stream", tests, nullptr, nullptr);
}
