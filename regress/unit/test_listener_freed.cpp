// A listener that one thread frees while another uses it, on the fake kernel: in a callback of its own, as libevent allows
// with LEV_OPT_THREADSAFE, or of its part on another base.
#include "support/check.h"

#include "support/sharers.h"
#include "support/strict_locks.h"

#include "bufferevent/listener.h"
#include "event2/iocp.h"

using namespace iocp;

namespace {

int other_calls;

void on_other(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    ++other_calls;
    evutil_closesocket(fd);
}

struct evconnlistener *listen_with(evconnlistener_cb callback, unsigned flags)
{
    struct evconnlistener *made = evconnlistener_new(w.bases[0], callback, nullptr, LEV_OPT_CLOSE_ON_FREE | flags, 0,
                                                     static_cast<evutil_socket_t>(w.socket));
    assert_non_null(made);
    turns(0, 2);
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

struct evconnlistener *used;
void (*uses)(struct evconnlistener *);

void another_frees_it()
{
    evconnlistener_free(used);
    used = nullptr;
}

// It lets go of the listener's lock, and the other thread has that next.
void on_used(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    evutil_closesocket(fd);
    strict_locks_when_free(another_frees_it);
    uses(listener);
    strict_locks_when_free(nullptr);
}

void freed_amid_a_call_of_its_own_callback(void **)
{
    void (*const calls[])(struct evconnlistener *) = {
        [](struct evconnlistener *listener) { evconnlistener_set_cb(listener, on_other, nullptr); },
        [](struct evconnlistener *listener) { evconnlistener_set_error_cb(listener, nullptr); },
        [](struct evconnlistener *listener) { evconnlistener_disable(listener); },
        [](struct evconnlistener *listener) { evconnlistener_enable(listener); },
    };
    for (auto call : calls) {
        open_world(1);
        uses = call;
        other_calls = 0;
        used = listen_with(on_used, LEV_OPT_THREADSAFE);
        clients_come(2);
        turns(0, 10);
        assert_null(used);
        assert_int_equal(other_calls, 0);
        free_bases();
    }
}

// Through its parts, whose memory goes.
void freed_while_a_part_asks_for_all(void **)
{
    open_world(2);
    struct evconnlistener *listener = listen_with(on_other, 0);
    assert_int_equal(evconnlistener_iocp_add_base(listener, w.bases[1]), 0);
    static listener_use *user;
    user = new listener_use(listener);
    fake::at(fake::now_us() + 5000, [] {
        assert_int_equal(user->of->part_count, 1);
        assert_false(LIST_EMPTY(&user->of->parts));
        delete user;
        user = nullptr;
    });
    evconnlistener_free(listener);
    assert_null(user);
    free_bases();
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(freed_amid_a_call_of_its_own_callback, set_up_sharers),
        cmocka_unit_test_setup(freed_while_a_part_asks_for_all, set_up_sharers),
    };
    return cmocka_run_group_tests_name("listener freed", tests, nullptr, nullptr);
}
