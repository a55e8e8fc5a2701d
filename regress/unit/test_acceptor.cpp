// Listeners on the fake kernel, at random: libevent's own code on top of AcceptEx, while packets are late and overtake
// each other, peers go before they are accepted, starts fail for want of memory, cancels are lost to a connection, and
// the listener is disabled, enabled and freed, in its callbacks too. Each client is accepted once, as itself.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

#include "event2/iocp.h"

#include "bufferevent/acceptor.h"

using namespace iocp;

namespace {

constexpr int max_clients = 60;
constexpr int steps = 250;
constexpr int max_settling_turns = 3000;
constexpr uint64_t seeds = 2000;

struct guest {
    fake::client who;
    std::string said; // with its connection, and after
    std::string heard;
    bool may_be_lost; // it came to a listener that was freed since
    int accepted;
    struct bufferevent *bev;
};

struct world {
    struct event_base *base;
    struct evconnlistener *listener; // NULL: freed
    SOCKET socket;
    unsigned flags;
    bool enabled;
    bool first_data;
    bool by_readiness; // one of the listeners so far left its socket open: its poll may still be there
    guest guests[max_clients];
    int count;
    unsigned errors;
    unsigned opened;
    int64_t began_us;
};

world w;
uint64_t seed;
uint64_t all_probes; // calls of accept(), in all seeds

void fails(const char *what)
{
    fail_msg("%s, seed %u", what, static_cast<unsigned>(seed));
}

guest *guest_of(const struct sockaddr *address)
{
    int number = ntohs(reinterpret_cast<const struct sockaddr_in *>(address)->sin_port) - 1;
    if (number < 0 || number >= w.count)
        fails("a client that there is not");
    return &w.guests[number];
}

bool closes_on_free()
{
    return (w.flags & LEV_OPT_CLOSE_ON_FREE) != 0;
}

void hear(guest *one)
{
    char bytes[256];
    for (size_t got = bufferevent_read(one->bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(one->bev, bytes, sizeof(bytes)))
        one->heard.append(bytes, got);
}

void on_read(struct bufferevent *, void *argument)
{
    hear(static_cast<guest *>(argument));
}

void free_listener()
{
    struct evconnlistener *freed = w.listener;
    w.listener = nullptr;
    evconnlistener_free(freed);
    bool closes = closes_on_free();
    if (!closes && fake::happens(500))
        return; // another one may be made on the same socket, and all who wait are accepted by that
    for (int i = 0; i < w.count; ++i)
        w.guests[i].may_be_lost = true;
    if (!closes)
        fake::close_by_program(w.socket);
    w.socket = INVALID_SOCKET;
}

void set_enabled(bool enabled)
{
    w.enabled = enabled;
    if ((enabled ? evconnlistener_enable(w.listener) : evconnlistener_disable(w.listener)) != 0)
        fails("the listener cannot be enabled or disabled");
}

void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *)
{
    guest *one = guest_of(address);
    if (listener != w.listener || !w.enabled)
        fails("a connection for a listener that is disabled or freed");
    if (length != sizeof(struct sockaddr_in) || ++one->accepted != 1 || one->who.fate != fake::fate_taken)
        fails("a client is accepted twice, or without an address, or was gone");
    if (!sys::is_connected(static_cast<SOCKET>(fd)) || fake::socket_of_client(one->who.port) != static_cast<SOCKET>(fd))
        fails("the connection is another client's, or not whole");
    bool blocks = !fake::never_blocks(static_cast<SOCKET>(fd)), inherited = fake::is_inherited(static_cast<SOCKET>(fd));
    if (!w.by_readiness && (blocks != ((w.flags & LEV_OPT_LEAVE_SOCKETS_BLOCKING) != 0) ||
                            inherited == ((w.flags & LEV_OPT_CLOSE_ON_EXEC) != 0)))
        fails("the connection is not as the listener's flags say");
    if (fake::happens(300)) {
        evutil_closesocket(fd);
        one->said.clear();
    } else {
        one->bev = bufferevent_socket_new(w.base, fd, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_setcb(one->bev, on_read, nullptr, nullptr, one);
        bufferevent_enable(one->bev, EV_READ);
    }
    if (fake::happens(50))
        set_enabled(false);
    else if (fake::happens(30))
        free_listener();
}

void on_error(struct evconnlistener *, void *)
{
    int error = EVUTIL_SOCKET_ERROR();
    if (w.by_readiness)
        return; // of accept() libevent tells every error
    ++w.errors;
    if (error != WSAENOBUFS && error != WSAEMFILE)
        fails("an error that is no shortage");
}

void open_listener()
{
    if (w.socket == INVALID_SOCKET)
        w.socket = fake::open_socket(fake::kind::listener);
    w.flags = fake::happens(500) ? LEV_OPT_CLOSE_ON_FREE : 0u;
    w.flags |= fake::happens(200) ? LEV_OPT_DISABLED : 0u;
    w.flags |= fake::happens(300) ? LEV_OPT_CLOSE_ON_EXEC : 0u;
    w.flags |= fake::happens(300) ? LEV_OPT_LEAVE_SOCKETS_BLOCKING : 0u;
    w.enabled = (w.flags & LEV_OPT_DISABLED) == 0;
    w.by_readiness = w.by_readiness || !closes_on_free();
    w.listener = evconnlistener_new(w.base, on_accept, nullptr, w.flags, 0, static_cast<evutil_socket_t>(w.socket));
    evconnlistener_set_error_cb(w.listener, on_error);
    w.first_data = false;
    ++w.opened;
}

void client_comes()
{
    if (w.count == max_clients)
        return;
    guest *next = &w.guests[w.count++];
    next->who.port = static_cast<uint16_t>(w.count);
    next->who.fate = fake::happens(800) ? fake::fate_taken : fake::happens(500) ? fake::fate_reset : fake::fate_deleted;
    next->who.first_bytes = fake::happens(500) ? "hello from " + std::to_string(w.count) : "";
    next->said = next->who.first_bytes;
    fake::client_arrives(w.socket, next->who);
}

// Of a client whose connection the kernel has: it may have been accepted, or be silent so far.
void client_says(guest *one, const std::string &bytes)
{
    SOCKET socket = fake::socket_of_client(one->who.port);
    if (socket == INVALID_SOCKET || (one->accepted != 0 && one->bev == nullptr))
        return;
    one->said += bytes;
    fake::peer_sends(socket, bytes);
}

void set_first_data(bool on)
{
    struct timeval patience = {3600, 0};
    w.first_data = on;
    if (evconnlistener_iocp_set_first_data(w.listener, on ? 64 : 0, &patience) != 0)
        fails("first data cannot be asked for");
}

// Every accept ends with it; connections that wait for their first data end so, too.
void end_thread()
{
    for (int i = 0; i < w.count; ++i)
        if (w.guests[i].accepted == 0 && fake::socket_of_client(w.guests[i].who.port) != INVALID_SOCKET)
            w.guests[i].may_be_lost = true;
    fake::end_starting_thread();
}

// What no guest was told of would be kept open by a child process that is made now.
void only_those_told_of_are_inherited()
{
    size_t told = w.socket != INVALID_SOCKET ? 1 : 0;
    for (int i = 0; i < w.count; ++i)
        told +=
            w.guests[i].bev != nullptr && fake::is_inherited(static_cast<SOCKET>(bufferevent_getfd(w.guests[i].bev)));
    if (fake::sockets_inherited() != told)
        fails("a socket that nobody was told of is inherited");
}

// The backlog is for accept() alone, or for accepts that bring first data.
void turn_on()
{
    uint64_t probes = fake::calls(fake::call::accept_now);
    bool first_data = w.first_data;
    turn(w.base);
    only_those_told_of_are_inherited();
    probes = fake::calls(fake::call::accept_now) - probes;
    if (probes != 0 && first_data)
        fails("accept() is called although first data are asked for");
    all_probes += probes;
}

void fail_probes()
{
    const int errors[] = {WSAENOBUFS, WSAEMFILE, WSAECONNRESET, WSAECONNABORTED, WSAENETDOWN};
    fake::fail_calls(fake::call::accept_now, errors[fake::random() % 5], 1 + static_cast<unsigned>(fake::random() % 5));
}

void step()
{
    unsigned which = static_cast<unsigned>(fake::random() % 20);
    if (which < 4 && w.socket != INVALID_SOCKET)
        client_comes();
    else if (which == 4 && w.listener != nullptr)
        set_enabled(fake::happens(600));
    else if (which == 5 && w.listener != nullptr && fake::happens(100))
        free_listener();
    else if (which == 6 && w.listener == nullptr)
        open_listener();
    else if (which == 7 && fake::happens(200))
        end_thread();
    else if (which == 8 && fake::happens(200))
        fake::fail_calls(fake::call::socket_like, WSAEMFILE, 1 + static_cast<unsigned>(fake::random() % 5));
    else if (which == 9 && w.listener != nullptr && fake::happens(300))
        set_first_data(!w.first_data);
    else if (which == 10 && w.count > 0)
        client_says(&w.guests[fake::random() % static_cast<unsigned>(w.count)], "and more");
    else if (which == 11 && fake::happens(200))
        fail_probes();
    else if (which == 12 && w.socket != INVALID_SOCKET)
        for (int i = 0; i < 5; ++i)
            client_comes();
    else if (which > 12) {
        fake::advance_us(static_cast<int64_t>(fake::random() % 2000));
        turn_on();
    }
}

bool is_settled()
{
    for (int i = 0; i < w.count; ++i) {
        const guest &one = w.guests[i];
        if (one.who.fate == fake::fate_taken && one.accepted == 0 && !one.may_be_lost)
            return false;
        if (one.bev != nullptr && one.heard != one.said)
            return false;
    }
    return true;
}

void settle()
{
    for (int turns = 0; turns < max_settling_turns && !is_settled(); ++turns) {
        if (w.listener == nullptr) // it may be freed in a callback once more
            open_listener();
        set_enabled(true);
        if (w.first_data && turns == 0)
            set_first_data(false);
        if (turns == 10) // who was silent while first data were waited for
            for (int i = 0; i < w.count; ++i)
                if (w.guests[i].accepted == 0 && w.guests[i].said.empty())
                    client_says(&w.guests[i], "at last");
        fake::advance_us(1000);
        turn(w.base);
    }
    for (int i = 0; i < w.count && !is_settled(); ++i)
        print_error("client %d: fate %x, accepted %d, may be lost %d, said %u, heard %u\n", w.guests[i].who.port,
                    static_cast<unsigned>(w.guests[i].who.fate), w.guests[i].accepted, w.guests[i].may_be_lost,
                    static_cast<unsigned>(w.guests[i].said.size()), static_cast<unsigned>(w.guests[i].heard.size()));
    if (!is_settled())
        fails("a client is not accepted, or not heard");
}

void forget_guests()
{
    for (int i = 0; i < w.count; ++i) {
        guest *one = &w.guests[i];
        if (one->bev == nullptr)
            continue;
        hear(one);
        if (one->said.compare(0, one->heard.size(), one->heard) != 0)
            fails("a client is heard with another's words");
        bufferevent_free(one->bev);
        one->bev = nullptr;
    }
}

void run_seed()
{
    fake::boot(seed, fake::all_chances);
    w = world();
    w.base = make_base(on_iocp);
    w.socket = INVALID_SOCKET;
    w.began_us = fake::now_us();
    open_listener();
    for (int i = 0; i < steps; ++i)
        step();
    if (fake::happens(700))
        settle();
    if (w.errors > (fake::now_us() - w.began_us) / shortage_pause_us + w.opened)
        fails("shortages are told of too often");
    forget_guests();
    bool base_first =
        w.listener != nullptr && closes_on_free() && fake::happens(300); // what is on the socket ends with it
    if (w.listener != nullptr && !base_first)
        free_listener();
    event_base_free(w.base);
    if ((base_first ? fake::complaint_after_base_free() : fake::complaint_after_free()) != nullptr)
        fails(fake::complaint());
}

void each_client_is_accepted_once(void **)
{
    for (seed = 1; seed <= seeds; ++seed)
        run_seed();
    assert_true(all_probes > seeds);
}

int set_up(void **)
{
    catch_log();
    return 0;
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_client_is_accepted_once, set_up),
    };
    return cmocka_run_group_tests_name("acceptor", tests, nullptr, nullptr);
}
