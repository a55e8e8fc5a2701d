// A base inside libuv's loop, as libuv's own test of embedding has libuv inside another: a thread pool's wait for the
// base's event wakes libuv (uv_async_send), uv_prepare runs the base before libuv sleeps, and a uv_timer stands for its
// timers. Meanwhile libuv has timers, connections and threads of its own.
#include "real/outer_loop.h"

#include "uv.h"

using namespace real;

namespace {

constexpr int rounds = 500, uv_rounds = 200, ticks_wanted = 10;

// What a program has to write.
struct embedder {
    struct event_base *base;
    HANDLE event, wait;
    uv_prepare_t before_sleep;
    uv_idle_t goes_on; // while it runs libuv does not sleep
    uv_timer_t due;
    uv_async_t woken;
    int timers_run;
    int result; // of the last call
};

void CALLBACK on_signalled(void *argument, BOOLEAN)
{
    uv_async_send(&static_cast<embedder *>(argument)->woken);
}

void embed_disarm(embedder *self)
{
    if (self->wait != nullptr)
        UnregisterWaitEx(self->wait, INVALID_HANDLE_VALUE);
    self->wait = nullptr;
}

void on_woken(uv_async_t *woken)
{
    embed_disarm(static_cast<embedder *>(woken->data)); // it waits once
}

void on_goes_on(uv_idle_t *)
{
}

void on_due(uv_timer_t *due)
{
    ++static_cast<embedder *>(due->data)->timers_run;
}

void on_before_sleep(uv_prepare_t *handle)
{
    auto *self = static_cast<embedder *>(handle->data);
    DWORD wait_ms = 0;
    self->result = event_base_iocp_run(self->base, 0, &wait_ms);
    if (self->result != 1) {
        uv_stop(handle->loop);
        return;
    }
    if (wait_ms == 0)
        uv_idle_start(&self->goes_on, on_goes_on);
    else
        uv_idle_stop(&self->goes_on);
    if (wait_ms != 0 && wait_ms != INFINITE)
        uv_timer_start(&self->due, on_due, wait_ms, 0);
    else
        uv_timer_stop(&self->due);
    if (self->wait == nullptr)
        RegisterWaitForSingleObject(&self->wait, self->event, on_signalled, self, INFINITE, WT_EXECUTEONLYONCE);
}

void embed_begin(embedder *self, uv_loop_t *loop)
{
    self->base = base;
    self->event = event_base_iocp_get_event(base);
    self->wait = nullptr;
    self->timers_run = self->result = 0;
    assert_non_null(self->event);
    uv_prepare_init(loop, &self->before_sleep);
    uv_idle_init(loop, &self->goes_on);
    uv_timer_init(loop, &self->due);
    uv_async_init(loop, &self->woken, on_woken);
    self->before_sleep.data = self->goes_on.data = self->due.data = self->woken.data = self;
    uv_prepare_start(&self->before_sleep, on_before_sleep);
}

void close_any(uv_handle_t *handle, void *)
{
    if (!uv_is_closing(handle))
        uv_close(handle, nullptr);
}

void embed_end(embedder *self, uv_loop_t *loop)
{
    embed_disarm(self);
    uv_walk(loop, close_any, nullptr);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

// --- what both do meanwhile ---------------------------------------------------------------------------------------

int echoes, uv_ticks, uv_wakes;
bool is_over()
{
    return echoes >= rounds && uv_ticks >= ticks_wanted && uv_wakes >= uv_rounds;
}

void break_if_over()
{
    if (is_over())
        event_base_loopbreak(base);
}

void on_client(struct bufferevent *bev, void *)
{
    ++echoes;
    break_if_over();
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

void on_tick(uv_timer_t *)
{
    ++uv_ticks;
    break_if_over();
}

void on_uv_woken(uv_async_t *)
{
    ++uv_wakes;
    break_if_over();
}

DWORD WINAPI wake_libuv(void *woken)
{
    for (int i = 1; i <= uv_rounds; ++i) {
        uv_async_send(static_cast<uv_async_t *>(woken));
        for (int tries = 0; *static_cast<volatile int *>(&uv_wakes) < i && tries < deadline_seconds * 1000; ++tries)
            Sleep(1);
    }
    return 0;
}

void open_ends(evutil_socket_t pair[2], struct bufferevent *ends[2])
{
    make_pair(pair);
    for (int i = 0; i < 2; ++i) {
        ends[i] = bufferevent_socket_new(base, pair[i], BEV_OPT_CLOSE_ON_FREE);
        bufferevent_setcb(ends[i], i == 0 ? on_server : on_client, nullptr, nullptr, nullptr);
        bufferevent_enable(ends[i], EV_READ | EV_WRITE);
    }
    bufferevent_write(ends[1], "ping", 4);
}

void both_have_their_turn(void **)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    embedder embedded;
    embed_begin(&embedded, &loop);
    echoes = uv_ticks = uv_wakes = 0;
    uv_timer_t tick;
    uv_timer_init(&loop, &tick);
    uv_timer_start(&tick, on_tick, 5, 5);
    uv_async_t uv_woken;
    uv_async_init(&loop, &uv_woken, on_uv_woken);
    evutil_socket_t pair[2];
    struct bufferevent *ends[2];
    open_ends(pair, ends);
    HANDLE thread = CreateThread(nullptr, 0, wake_libuv, &uv_woken, 0, nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    assert_true(is_over());
    assert_int_equal(embedded.result, 0);
    assert_true(event_base_got_break(base));
    assert_int_equal(embedded.timers_run, 0); // no echo has needed one
    embed_end(&embedded, &loop);
    bufferevent_free(ends[0]);
    bufferevent_free(ends[1]);
}

// The base's timers, and nothing else of libuv's that would wake it.
void timers_come_when_they_are_due(void **)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    embedder embedded;
    embed_begin(&embedded, &loop);
    int ticks = 0;
    struct timeval delay = {0, 3000}, last = {0, 50000};
    struct event *timer = event_new(base, -1, EV_PERSIST, count_only, &ticks);
    event_add(timer, &delay);
    event_base_loopexit(base, &last);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(embedded.result, 0);
    assert_true(event_base_got_exit(base));
    assert_true(ticks > 1);
    assert_in_range(embedded.timers_run, 1, ticks + 20);
    embed_end(&embedded, &loop);
    event_free(timer);
}

struct event *activated;

DWORD WINAPI activate(void *)
{
    for (int i = 1; i <= 300; ++i) {
        event_active(activated, EV_READ, 1);
        for (int tries = 0; *static_cast<volatile int *>(&callbacks) < i && tries < deadline_seconds * 1000; ++tries)
            Sleep(1);
    }
    event_base_loopbreak(base);
    return 0;
}

void another_thread_wakes_the_base(void **)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    embedder embedded;
    embed_begin(&embedded, &loop);
    activated = event_new(base, -1, EV_PERSIST, count_only, nullptr);
    struct timeval long_time = {3600, 0};
    event_add(activated, &long_time);
    HANDLE thread = CreateThread(nullptr, 0, activate, nullptr, 0, nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    assert_int_equal(callbacks, 300); // none of them by the timer
    assert_int_equal(embedded.timers_run, 0);
    embed_end(&embedded, &loop);
    event_free(activated);
}

} // namespace

int main()
{
    start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_have_their_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timers_come_when_they_are_due, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_wakes_the_base, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
