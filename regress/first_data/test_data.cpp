// Data that come with a connection are read first, exactly, and followed by what the stream brings next.
#include "world.h"

#include "event2/http.h"

using namespace world;

extern "C" int set_from_c(struct evconnlistener *listener, unsigned bytes);

namespace {

std::string pattern(size_t length)
{
    std::string made(length, '\0');
    for (size_t i = 0; i < length; ++i)
        made[i] = static_cast<char>('a' + (i * 7 + i / 26) % 26);
    return made;
}

bool one_served()
{
    return run_until([] { return all_served.size() == 1; });
}

void read_first(way chosen)
{
    next_way = chosen;
    assert_int_equal(set_from_c(listener, 512), 0);
    evutil_socket_t peer = connect_peer();
    say(peer, "hello");
    assert_true(one_served());
    assert_true(all_served[0]->was_early);
    say(peer, ", world");
    assert_true(run_until([] { return all_served[0]->got.size() >= 12; }));
    assert_string_equal(all_served[0]->got.c_str(), "hello, world");
    evutil_closesocket(peer);
    assert_true(run_until([] { return all_served[0]->ends == 1; }));
    assert_int_equal(all_served[0]->errors, 0);
}

void by_a_new_bufferevent(void **)
{
    read_first(way::makes);
}

void by_one_that_is_given_the_descriptor(void **)
{
    read_first(way::sets);
}

void by_one_that_does_not_own_it(void **)
{
    read_first(way::unowned);
}

void waits_for_the_first_byte(void **)
{
    set(512, 60000);
    evutil_socket_t peer = connect_peer();
    assert_true(run_for(200));
    assert_int_equal(all_served.size(), 0);
    say(peer, "x");
    assert_true(one_served());
    assert_true(run_until([] { return all_served[0]->got == "x"; }));
    evutil_closesocket(peer);
}

void longer_than_its_room(void **)
{
    set(1000, 60000);
    std::string sent = pattern(60000);
    evutil_socket_t peer = connect_peer();
    say(peer, sent);
    assert_true(run_until([&sent] { return all_served.size() == 1 && all_served[0]->got.size() >= sent.size(); }));
    assert_true(all_served[0]->got == sent);
    evutil_closesocket(peer);
}

void as_long_as_may_be(void **)
{
    set(EVCONNLISTENER_IOCP_MAX_FIRST_DATA, 60000);
    std::string sent = pattern(EVCONNLISTENER_IOCP_MAX_FIRST_DATA + 1);
    evutil_socket_t peer = connect_peer();
    say(peer, sent);
    assert_true(run_until([&sent] { return all_served.size() == 1 && all_served[0]->got.size() >= sent.size(); }));
    assert_true(all_served[0]->got == sent);
    evutil_closesocket(peer);
}

void peer_sends_and_closes(void **)
{
    set(512, 60000);
    evutil_socket_t peer = connect_peer();
    say(peer, "all I have to say");
    evutil_closesocket(peer);
    assert_true(run_until([] { return all_served.size() == 1 && all_served[0]->ends == 1; }));
    assert_string_equal(all_served[0]->got.c_str(), "all I have to say");
    assert_int_equal(all_served[0]->errors, 0);
}

void peer_closes_without_a_word(void **)
{
    set(512, 60000);
    evutil_closesocket(connect_peer());
    assert_true(run_until([] { return all_served.size() == 1 && all_served[0]->ends == 1; }));
    assert_string_equal(all_served[0]->got.c_str(), "");
}

void read_in_parts(void **)
{
    next_way = way::keeps_descriptor;
    set(512, 60000);
    evutil_socket_t peer = connect_peer();
    say(peer, pattern(300));
    assert_true(one_served());
    struct bufferevent *bev = read_from(all_served[0], BEV_OPT_CLOSE_ON_FREE);
    bufferevent_set_max_single_read(bev, 70);
    assert_true(run_until([] { return all_served[0]->got.size() >= 300; }));
    assert_true(all_served[0]->got == pattern(300));
    evutil_closesocket(peer);
}

// The first bufferevent is freed with nothing, or a part, of it read; the descriptor lives on.
void read_by_the_second(bool in_part)
{
    next_way = way::keeps_descriptor;
    set(512, 60000);
    evutil_socket_t peer = connect_peer();
    say(peer, pattern(300));
    assert_true(one_served());
    struct bufferevent *bev = read_from(all_served[0], 0);
    bufferevent_set_max_single_read(bev, 70);
    if (in_part)
        assert_true(run_until([] { return !all_served[0]->got.empty(); }));
    bufferevent_free(bev);
    all_served[0]->bev = nullptr;
    event_base_loop(base, EVLOOP_NONBLOCK);
    read_from(all_served[0], 0);
    say(peer, "more");
    assert_true(run_until([] { return all_served[0]->got.size() >= 304; }));
    assert_true(all_served[0]->got == pattern(300) + "more");
    evutil_closesocket(peer);
}

void given_back_whole(void **)
{
    read_by_the_second(false);
}

void given_back_in_part(void **)
{
    read_by_the_second(true);
}

// The bytes belong to a socket, not to the number of its descriptor, which the program may close behind our back.
void not_for_the_next_socket(void **)
{
    next_way = way::keeps_descriptor;
    set(512, 60000);
    for (int round = 0; round < 20; ++round) {
        evutil_socket_t peer = connect_peer();
        say(peer, "stale");
        assert_true(one_served());
        closesocket(static_cast<SOCKET>(all_served[0]->fd));
        evutil_socket_t pair[2];
        assert_int_equal(evutil_socketpair(AF_INET, SOCK_STREAM, 0, pair), 0);
        for (evutil_socket_t each : pair)
            evutil_make_socket_nonblocking(each);
        all_served[0]->fd = pair[0];
        read_from(all_served[0], BEV_OPT_CLOSE_ON_FREE);
        say(pair[1], "fresh");
        assert_true(run_until([] { return all_served[0]->got.size() >= 5; }));
        assert_string_equal(all_served[0]->got.c_str(), "fresh");
        forget_served();
        evutil_closesocket(pair[1]);
        evutil_closesocket(peer);
    }
}

void http_server(void **)
{
    struct evhttp *http = evhttp_new(base);
    evhttp_set_gencb(
        http, [](struct evhttp_request *request, void *) { evhttp_send_reply(request, HTTP_OK, "served", nullptr); },
        nullptr);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    struct evconnlistener *on = evhttp_bound_socket_get_listener(bound);
    assert_int_equal(set_from_c(on, 2048), 0);
    evutil_socket_t peer = connect_peer(on);
    say(peer, "GET / HTTP/1.0\r\n\r\n");
    std::string answer;
    assert_true(run_until([&] {
        char some[512];
        int got = recv(peer, some, sizeof(some), 0);
        if (got > 0)
            answer.append(some, static_cast<size_t>(got));
        if (got > 0 || (got < 0 && WSAGetLastError() == WSAEWOULDBLOCK)) { // nothing of ours in the loop says when
            struct timeval soon = {0, 2000};
            event_base_loopexit(base, &soon);
        }
        return got == 0;
    }));
    assert_int_equal(answer.find("HTTP/1.0 200 served"), 0);
    evutil_closesocket(peer);
    evhttp_free(http);
}

void off_by_default(void **)
{
    evutil_socket_t silent = connect_peer();
    assert_true(one_served());
    say(silent, "later");
    assert_true(run_until([] { return all_served[0]->got == "later"; }));
    next_way = way::keeps_descriptor;
    evutil_socket_t talking = connect_peer();
    say(talking, "at once");
    assert_true(run_until([] { return all_served.size() == 2; }));
    assert_false(all_served[1]->was_early);
    evutil_closesocket(silent);
    evutil_closesocket(talking);
}

void turned_off(void **)
{
    set(512, 60000);
    event_base_loop(base, EVLOOP_NONBLOCK); // accepts with room for data are in flight
    set(0, 0);
    off_by_default(nullptr);
}

void turned_on_later(void **)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
    set(512, 60000);
    assert_true(run_for(20));
    evutil_socket_t peer = connect_peer();
    assert_true(run_for(100));
    assert_int_equal(all_served.size(), 0);
    say(peer, "first");
    assert_true(one_served());
    assert_true(run_until([] { return all_served[0]->got == "first"; }));
    evutil_closesocket(peer);
}

void refused(struct evconnlistener *on, size_t bytes, const struct timeval *patience, int error)
{
    EVUTIL_SET_SOCKET_ERROR(0);
    assert_int_equal(evconnlistener_iocp_set_first_data(on, bytes, patience), -1);
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
}

void out_of_bounds(void **)
{
    struct timeval wrong[] = {{0, 99999}, {3600, 1}, {-1, 0}, {1, 1000000}, {1, -1}};
    for (const struct timeval &each : wrong)
        refused(listener, 1, &each, WSAEINVAL);
    refused(listener, EVCONNLISTENER_IOCP_MAX_FIRST_DATA + 1, nullptr, WSAEINVAL);
    struct timeval shortest = {0, 100000}, longest = {3600, 0};
    assert_int_equal(evconnlistener_iocp_set_first_data(listener, 1, &shortest), 0);
    assert_int_equal(evconnlistener_iocp_set_first_data(listener, 1, &longest), 0);
    struct event_base *select_base = new_base(false);
    assert_string_equal(event_base_get_method(select_base), "win32");
    struct evconnlistener *plain = listen_on(select_base);
    refused(plain, 1, nullptr, WSAEOPNOTSUPP);
    evconnlistener_free(plain);
    event_base_free(select_base);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_a_new_bufferevent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_one_that_is_given_the_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_one_that_does_not_own_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_for_the_first_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(longer_than_its_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(as_long_as_may_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(peer_sends_and_closes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(peer_closes_without_a_word, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(given_back_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(given_back_in_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_for_the_next_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(http_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(off_by_default, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turned_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turned_on_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_bounds, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
