// Wake-ups from another thread, and making and unmaking an epoll.
#include "tools/benchmarks/common/waker.h"
#include "tools/benchmarks/wepoll/epoll.h"
#include "tools/benchmarks/wepoll/waker_socket.h"

namespace bench {

namespace {

class woken_epoll final : public wakeable {
public:
    woken_epoll() { waking.open(&loop, wake_came, this); }
    void wake() override { waking.wake(); }
    void run_loop() override { loop.run(); }
    void stop_loop() override { loop.stop(); }

private:
    static void wake_came(void *self) { static_cast<woken_epoll *>(self)->woken(); }

    epoll loop;
    waker_socket waking;
};

class startup final : public work {
public:
    void run(long units) override;
};

void startup::run(long units)
{
    for (long i = 0; i < units; ++i) {
        epoll made;
        made.turn(0);
        made.close();
    }
}

} // namespace

work *set_up_wakeup(const scenario &)
{
    return new wakeup(new woken_epoll, new woken_epoll);
}

work *set_up_startup(const scenario &)
{
    return new startup;
}

} // namespace bench
