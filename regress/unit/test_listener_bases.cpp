// A listener that hands on, on the fake kernel: its bases have its connections in turn, or by load; it is refused what
// its interface says, and follows what is asked of the whole; bases and listeners end in all orders.
#include "support/check.h"

#include "support/guard.h"
#include "support/sharers.h"

#include "backend/backend.h"
#include "event2/iocp.h"

using namespace iocp;

namespace {

// What the callback was told.
struct told {
    int times;
    struct event_base *base;
    bool is_of_the_socket;
};

struct told heard[max_bases];
int other_calls;

void on_handed(struct evconnlistener *part, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    for (unsigned i = 0; i < max_bases; ++i)
        if (w.bases[i] != nullptr && w.bases[i] == evconnlistener_get_base(part)) {
            ++heard[i].times;
            heard[i].is_of_the_socket = evconnlistener_get_fd(part) == static_cast<evutil_socket_t>(w.socket);
        }
    assert_ptr_equal(argument, heard);
    evutil_closesocket(fd);
}

void on_other(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    ++other_calls;
    evutil_closesocket(fd);
}

struct evconnlistener *listen_on(unsigned base, unsigned flags = LEV_OPT_CLOSE_ON_FREE)
{
    memset(heard, 0, sizeof(heard));
    other_calls = 0;
    struct evconnlistener *made =
        evconnlistener_new(w.bases[base], on_handed, heard, flags, 0, static_cast<evutil_socket_t>(w.socket));
    assert_non_null(made);
    return made;
}

void free_bases()
{
    for (struct event_base *&base : w.bases)
        if (base != nullptr) {
            event_base_free(base);
            base = nullptr;
        }
    assert_null(fake::complaint_after_free());
}

struct evconnlistener *open_bases(unsigned count)
{
    open_world(max_bases);
    struct evconnlistener *listener = listen_on(0);
    for (unsigned i = 1; i < count; ++i)
        assert_int_equal(evconnlistener_iocp_add_base(listener, w.bases[i]), 0);
    for (unsigned i = 0; i < count; ++i)
        turns(i, 2);
    return listener;
}

void all_sleep_but_the_first(int clients)
{
    sleep_while(1, [=] {
        sleep_while(2, [=] {
            sleep_while(3, [=] {
                clients_come(clients);
                turns(0, 2);
            });
        });
    });
}

int heard_by_all()
{
    int sum = 0;
    for (const struct told &each : heard)
        sum += each.times;
    return sum;
}

void each_base_has_its_part(void **)
{
    struct evconnlistener *listener = open_bases(4);
    all_sleep_but_the_first(8);
    for (const struct told &each : heard) {
        assert_int_equal(each.times, 2);
        assert_true(each.is_of_the_socket);
    }
    evconnlistener_free(listener);
    free_bases();
}

void by_load(void **)
{
    struct evconnlistener *listener = open_bases(4);
    assert_int_equal(evconnlistener_iocp_set_order(listener, EVCONNLISTENER_IOCP_BY_LOAD), 0);
    struct bufferevent *open[6];
    for (int i = 0; i < 6; ++i) { // all on bases 2 and 3
        SOCKET socket = fake::open_socket(fake::kind::stream);
        sys::set_inherited(socket, false); // all that is inherited is counted, see turns
        fake::connect_now(socket);
        open[i] =
            bufferevent_socket_new(w.bases[2 + i % 2], static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
    }
    assert_int_equal(backend_of(w.bases[2])->rounds.connections, 3);
    all_sleep_but_the_first(4);
    assert_int_equal(heard[2].times + heard[3].times, 0);
    assert_int_equal(heard[0].times + heard[1].times, 4);
    assert_true(heard[1].times > 0);
    for (struct bufferevent *each : open)
        bufferevent_free(each);
    turns(2, 10);
    turns(3, 10);
    assert_int_equal(evconnlistener_iocp_set_order(listener, EVCONNLISTENER_IOCP_IN_TURN), 0);
    all_sleep_but_the_first(4);
    assert_true(heard[2].times > 0 && heard[3].times > 0);
    evconnlistener_free(listener);
    turns(2, 2);
    turns(3, 2);
    free_bases();
}

void refused(struct evconnlistener *listener, struct event_base *added, int error)
{
    WSASetLastError(0);
    assert_int_equal(evconnlistener_iocp_add_base(listener, added), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
}

void what_is_refused(void **)
{
    constexpr base_options by_default = {EVENT_BASE_FLAG_IGNORE_ENV, 0, nullptr, nullptr};
    event_base_free(make_base(by_default)); // the first on select leaves a block, which libevent keeps for good
    fake::boot(1);
    struct evconnlistener *listener = open_bases(2);
    struct event_base *on_select = make_base(by_default);
    assert_false(is_on_port(on_select));
    refused(listener, w.bases[0], WSAEALREADY);
    refused(listener, w.bases[1], WSAEALREADY);
    refused(listener, on_select, WSAEOPNOTSUPP);
    refused(listener, nullptr, WSAEOPNOTSUPP);
    refused(nullptr, w.bases[1], WSAEOPNOTSUPP);
    assert_int_equal(evconnlistener_iocp_remove_base(listener, w.bases[0]), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEINVAL);
    assert_int_equal(evconnlistener_iocp_remove_base(listener, w.bases[2]), -1);
    assert_int_equal(evconnlistener_iocp_set_order(listener, static_cast<enum evconnlistener_iocp_order>(7)), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEINVAL);
    struct event_base *many[EVCONNLISTENER_IOCP_MAX_BASES];
    for (int i = 0; i < EVCONNLISTENER_IOCP_MAX_BASES; ++i) {
        many[i] = make_base(on_iocp);
        if (i < EVCONNLISTENER_IOCP_MAX_BASES - 2)
            assert_int_equal(evconnlistener_iocp_add_base(listener, many[i]), 0);
        else
            refused(listener, many[i], WSAETOOMANYREFS);
    }
    evconnlistener_free(listener);
    for (struct event_base *each : many)
        event_base_free(each);
    event_base_free(on_select);
    free_bases();
}

void what_is_asked_is_asked_of_all(void **)
{
    struct evconnlistener *listener = open_bases(2);
    evconnlistener_disable(listener);
    assert_int_equal(evconnlistener_iocp_add_base(listener, w.bases[2]), 0); // which is disabled, too
    clients_come(2);
    for (unsigned i = 0; i < 3; ++i)
        turns(i, 10);
    assert_int_equal(heard_by_all(), 0);
    assert_int_equal(evconnlistener_enable(listener), 0);
    turns(2, 10);
    assert_int_equal(heard[2].times, 2);
    evconnlistener_set_cb(listener, on_other, nullptr);
    clients_come(1);
    turns(1, 10);
    assert_int_equal(other_calls, 1);
    assert_int_equal(evconnlistener_iocp_remove_base(listener, w.bases[1]), 0);
    clients_come(1);
    turns(1, 10);
    assert_int_equal(other_calls, 1);
    turns(2, 10);
    assert_int_equal(other_calls, 2);
    evconnlistener_free(listener);
    free_bases();
}

// What one was given is another's.
void a_base_goes(void **)
{
    for (bool is_freed : {false, true}) {
        struct evconnlistener *listener = open_bases(3);
        sleep_while(2, [] {
            clients_come(4);
            turns(0, 1);
        });
        if (is_freed) {
            event_base_free(w.bases[2]);
            w.bases[2] = nullptr;
        } else {
            assert_int_equal(evconnlistener_iocp_remove_base(listener, w.bases[2]), 0);
        }
        clients_come(4);
        turns(1, 20);
        turns(0, 20);
        assert_int_equal(heard_by_all(), 8);
        evconnlistener_free(listener);
        free_bases();
    }
}

void on_urgent(evutil_socket_t, short, void *base)
{
    event_base_loopbreak(static_cast<struct event_base *>(base));
}

// One is given a client while it sleeps, and its loop ends before it has told of it. It goes, and the base that is left
// was awake.
void a_base_goes_with_what_it_was_given(void **)
{
    for (bool is_freed : {false, true}) {
        open_world(2);
        event_base_priority_init(w.bases[1], 2);
        struct evconnlistener *listener = listen_on(0);
        assert_int_equal(evconnlistener_iocp_add_base(listener, w.bases[1]), 0);
        turns(0, 2);
        struct event *urgent = event_new(w.bases[1], -1, 0, on_urgent, w.bases[1]);
        event_priority_set(urgent, 0);
        sleep_while(1, [=] {
            clients_come(2);
            turns(0, 1);
            event_active(urgent, EV_TIMEOUT, 1);
        });
        event_free(urgent);
        assert_int_equal(heard[0].times, 1);
        assert_int_equal(heard[1].times, 0);
        if (is_freed) {
            event_base_free(w.bases[1]);
            w.bases[1] = nullptr;
        } else {
            assert_int_equal(evconnlistener_iocp_remove_base(listener, w.bases[1]), 0);
        }
        turns(0, 1);
        assert_int_equal(heard[0].times, 2);
        evconnlistener_free(listener);
        free_bases();
    }
}

void without_memory(void **)
{
    for (unsigned allowed = 0; allowed < 8; ++allowed) {
        struct evconnlistener *listener = open_bases(1);
        guard::fail_allocations(allowed, 1);
        int result = evconnlistener_iocp_add_base(listener, w.bases[1]);
        assert_true(result == 0 || EVUTIL_SOCKET_ERROR() == WSAENOBUFS);
        guard::fail_allocations(0, 0);
        clients_come(2);
        turns(1, 10);
        turns(0, 20);
        assert_int_equal(heard_by_all(), 2);
        evconnlistener_free(listener);
        free_bases();
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_base_has_its_part, set_up_sharers),
        cmocka_unit_test_setup(by_load, set_up_sharers),
        cmocka_unit_test_setup(what_is_refused, set_up_sharers),
        cmocka_unit_test_setup(what_is_asked_is_asked_of_all, set_up_sharers),
        cmocka_unit_test_setup(a_base_goes, set_up_sharers),
        cmocka_unit_test_setup(a_base_goes_with_what_it_was_given, set_up_sharers),
        cmocka_unit_test_setup(without_memory, set_up_sharers),
    };
    return cmocka_run_group_tests_name("listener_bases", tests, nullptr, nullptr);
}
