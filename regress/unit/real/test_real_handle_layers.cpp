// What libevent lays over or around a socket bufferevent, over a pipe on the real kernel: watermarks, rate limits,
// time-outs, deferred callbacks, filters, other threads.
#include "real/pipe_pair.h"

using namespace real;

namespace {

side server, client;

void open_both(int options = BEV_OPT_CLOSE_ON_FREE)
{
    pipe_ends ends = make_pipe();
    side_open(&server, ends.server, options);
    side_open(&client, ends.client, options);
}

void free_both()
{
    HANDLE ends[] = {reinterpret_cast<HANDLE>(bufferevent_getfd(server.bev)),
                     reinterpret_cast<HANDLE>(bufferevent_getfd(client.bev))};
    side_free(&server);
    side_free(&client);
    assert_true(gets_closed(ends[0]) && gets_closed(ends[1]));
}

size_t most_seen;

void take_most(struct bufferevent *bev, void *)
{
    struct evbuffer *input = bufferevent_get_input(bev);
    size_t length = evbuffer_get_length(input);
    most_seen = length > most_seen ? length : most_seen;
    server.heard.resize(server.heard.size() + length);
    evbuffer_remove(input, &server.heard[server.heard.size() - length], length);
    if (server.heard.size() >= server.stop)
        event_base_loopbreak(base);
}

void read_at_most(size_t limit, size_t length)
{
    std::string said = pattern(length, 1);
    most_seen = 0;
    bufferevent_setcb(server.bev, take_most, nullptr, nullptr, nullptr);
    side_write(&client, said);
    hear(&server, length);
    assert_true(server.heard == said);
    assert_true(most_seen > 0 && most_seen <= limit);
    free_both();
}

void a_high_watermark_holds_back(void **)
{
    open_both();
    bufferevent_setwatermark(server.bev, EV_READ, 0, 1000);
    read_at_most(1000, 100000);
}

void a_rate_limit_holds_back(void **)
{
    open_both();
    struct timeval tick = {0, 5000};
    struct ev_token_bucket_cfg *limit =
        ev_token_bucket_cfg_new(2000, 2000, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, &tick);
    assert_int_equal(bufferevent_set_rate_limit(server.bev, limit), 0);
    read_at_most(2000, 20000);
    ev_token_bucket_cfg_free(limit);
}

void a_low_watermark_waits(void **)
{
    open_both();
    bufferevent_setwatermark(server.bev, EV_READ, 500, 0);
    bufferevent_setcb(server.bev, take_most, nullptr, nullptr, nullptr);
    server.stop = 1;
    side_write(&client, pattern(499, 1));
    turns(20);
    assert_int_equal(server.heard.size(), 0);
    side_write(&client, "!");
    hear(&server, 500);
    free_both();
}

void time_outs_are_told(void **)
{
    open_both();
    struct timeval soon = {0, 20 * 1000};
    bufferevent_set_timeouts(server.bev, &soon, nullptr);
    wait_for_event(&server);
    assert_int_equal(server.what, BEV_EVENT_TIMEOUT | BEV_EVENT_READING);
    server.what = 0;
    bufferevent_set_timeouts(server.bev, nullptr, &soon);
    bufferevent_disable(client.bev, EV_READ);
    side_write(&server, pattern(1024 * 1024, 1));
    wait_for_event(&server);
    assert_int_equal(server.what, BEV_EVENT_TIMEOUT | BEV_EVENT_WRITING);
    free_both();
}

void every_option_is_as_for_a_socket(void **)
{
    for (int options : {int{BEV_OPT_DEFER_CALLBACKS}, int{BEV_OPT_THREADSAFE},
                        int{BEV_OPT_DEFER_CALLBACKS} | int{BEV_OPT_UNLOCK_CALLBACKS} | int{BEV_OPT_THREADSAFE}}) {
        open_both(BEV_OPT_CLOSE_ON_FREE | options);
        server.echoes = true;
        std::string said;
        for (unsigned i = 1; i < 20; ++i) {
            said += pattern(i * 100, i);
            side_write(&client, pattern(i * 100, i));
            hear(&client, said.size());
        }
        assert_true(client.heard == said);
        free_both();
    }
}

enum bufferevent_filter_result change(struct evbuffer *from, struct evbuffer *to, ev_ssize_t, bufferevent_flush_mode,
                                      void *)
{
    char bytes[1000];
    int got = 0, all = 0;
    while ((got = evbuffer_remove(from, bytes, sizeof(bytes))) > 0) {
        for (int i = 0; i < got; ++i)
            bytes[i] = static_cast<char>(bytes[i] ^ 0x55);
        evbuffer_add(to, bytes, static_cast<size_t>(got));
        all += got;
    }
    return all > 0 ? BEV_OK : BEV_NEED_MORE;
}

void on_filtered(struct bufferevent *bev, void *)
{
    char bytes[4096];
    while (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)))
        server.heard.append(bytes, got);
    if (server.heard.size() >= server.stop)
        event_base_loopbreak(base);
}

void a_filter_upon_it(void **)
{
    open_both();
    HANDLE end = reinterpret_cast<HANDLE>(bufferevent_getfd(server.bev));
    struct bufferevent *filter =
        bufferevent_filter_new(server.bev, change, change, BEV_OPT_CLOSE_ON_FREE, nullptr, nullptr);
    bufferevent_setcb(filter, on_filtered, nullptr, nullptr, nullptr);
    bufferevent_enable(filter, EV_READ | EV_WRITE);
    std::string said = pattern(1024 * 1024, 7), back = pattern(300000, 8);
    side_write(&client, said);
    bufferevent_write(filter, back.data(), back.size());
    hear(&server, said.size());
    hear(&client, back.size());
    for (char &byte : said)
        byte = static_cast<char>(byte ^ 0x55);
    for (char &byte : back)
        byte = static_cast<char>(byte ^ 0x55);
    assert_true(server.heard == said);
    assert_true(client.heard == back);
    bufferevent_free(filter);
    assert_true(gets_closed(end));
    wait_for_event(&client);
    assert_int_equal(client.what & BEV_EVENT_EOF, BEV_EVENT_EOF);
    side_free(&client);
    turns(3);
}

constexpr int words = 500;

DWORD WINAPI write_words(void *bev)
{
    for (int i = 0; i < words; ++i)
        bufferevent_write(static_cast<struct bufferevent *>(bev), "word", 4);
    return 0;
}

DWORD WINAPI free_it(void *bev)
{
    bufferevent_free(static_cast<struct bufferevent *>(bev));
    return 0;
}

void finish(HANDLE thread)
{
    assert_int_equal(WaitForSingleObject(thread, deadline_seconds * 1000), WAIT_OBJECT_0);
    CloseHandle(thread);
}

void other_threads_write_and_free(void **)
{
    open_both(BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
    HANDLE thread = CreateThread(nullptr, 0, write_words, client.bev, 0, nullptr);
    hear(&server, words * 4);
    finish(thread);
    thread = CreateThread(nullptr, 0, free_it, client.bev, 0, nullptr);
    client.bev = nullptr;
    wait_for_event(&server);
    finish(thread);
    assert_int_equal(server.what, BEV_EVENT_EOF | BEV_EVENT_READING);
    side_free(&server);
    turns(3);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_high_watermark_holds_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rate_limit_holds_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_low_watermark_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_outs_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_option_is_as_for_a_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_filter_upon_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_threads_write_and_free, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
