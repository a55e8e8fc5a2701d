/* For libevent's regress suite on libevent's own libraries: every base that a test makes has libevent's own IOCP.
 * The linker puts these in place of the functions that they are named after (--wrap), which is why the names are such. */
#include <event2/event.h>
#include <event2/thread.h>

struct event_base *__real_event_base_new_with_config(const struct event_config *config);
struct event_base *__wrap_event_base_new_with_config(const struct event_config *config);
struct event_base *__wrap_event_base_new(void);
struct event_base *__wrap_event_init(void);

/* libevent's own: the base of programs that name none. */
extern struct event_base *event_global_current_base_;

struct event_base *__wrap_event_base_new_with_config(const struct event_config *config)
{
    if (config == NULL)
        return __wrap_event_base_new();
    /* It has threads of its own, and libevent goes without locks unless it is told of threads. */
    evthread_use_windows_threads();
    event_config_set_flag((struct event_config *)config, EVENT_BASE_FLAG_STARTUP_IOCP);
    return __real_event_base_new_with_config(config);
}

struct event_base *__wrap_event_base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = __wrap_event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

struct event_base *__wrap_event_init(void)
{
    event_global_current_base_ = __wrap_event_base_new();
    return event_global_current_base_;
}
